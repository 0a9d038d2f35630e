"""Rules and dashboard: PromQL's grammar, metrics that are served, runbooks that exist, promtool where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import promql_parser
import pytest
import yaml

from measure.dashboard import picture, recording
from measure.dashboard.panels import PANELS
from measure.dashboard.record import PATH as RECORDED
from serving.metrics.catalogue import CATALOGUE, REQUEST_BUCKETS, samples_of

ROOT = Path(__file__).resolve().parents[4]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
MONITORING = (ROOT / "docs" / "monitoring.md").read_text("utf-8")

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
SAMPLES = {sample: metric for metric in CATALOGUE for sample in samples_of(metric)}
PROMTOOL = shutil.which("promtool") or shutil.which(
    "promtool", path=str(ROOT / "build" / "promtool" / "usr" / "bin")
)
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="no promtool: run make promtool")


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$model", ".*")


EXPRESSIONS = list(expressions())


def names(expression: str) -> set[str]:
    """Every name of a metric or a recorded series; raises ValueError for what is no PromQL."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]|\b(by|ignoring|group_left)\s*\([^)]*\)|\{[^}]*\}', " ", expression)
    promql_parser.parse(expression)
    return {
        name
        for name in re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare)
        if "speaker_id" in name or name == "up"
    }


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_expression_is_promql_over_metrics_that_are_served(where: str, expression: str) -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    found = names(expression)
    assert found, "asks for something"
    assert found <= SAMPLES.keys() | recorded | {"up"}


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_label_that_is_matched_or_grouped_by_is_one_of_a_metrics_own(
    where: str, expression: str
) -> None:
    for name, matchers in re.findall(r"(speaker_id_\w+)\{([^}]*)\}", expression):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) - {"le"}
        assert labels <= set(SAMPLES[name].labels), name
    grouped = {label for found in re.findall(r"by\s*\(([^)]*)\)", expression) for label in found.split(", ")}
    known = {label for name in names(expression) & SAMPLES.keys() for label in SAMPLES[name].labels}
    assert grouped <= known | {"le", "model", "version"}


def test_a_wrong_name_or_grammar_would_be_seen() -> None:
    assert names("rate(speaker_id_nothing_total[5m])") == {"speaker_id_nothing_total"}
    with pytest.raises(ValueError, match="invalid promql"):
        names("sum by model (speaker_id_up)")


def test_the_slo_has_a_bucket_of_its_own() -> None:
    bounds = {float(bound) for rule in RULES for bound in re.findall(r'le="([^"]+)"', rule["expr"])}
    assert bounds
    assert bounds <= set(REQUEST_BUCKETS)


def test_what_is_the_servers_fault_or_nobody_reads_is_no_refused_clip() -> None:
    from speaker_id.statuses import STATUS

    (rule,) = [rule for rule in RULES if rule.get("record") == "speaker_id:refused_clips:ratio30m"]
    (left_out,) = re.findall(r'code!~"([^"]*)"', rule["expr"])
    ours = {error.code for error, status in STATUS.items() if status >= 500}
    assert set(left_out.split("|")) == ours | {"ok", "cancelled"}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_how_bad_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"page", "ticket", "info"}
    assert alert["annotations"]["summary"]
    page, anchor = alert["annotations"]["runbook"].split("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert f"`{alert['alert']}`" in MONITORING


def test_the_dashboard_is_what_the_panels_make_and_grafanas_models_read() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="Grafana's models need Python 3.11")
    from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

    from measure.dashboard import dashboard

    assert DASHBOARD.read_text("utf-8") == dashboard.render(), "run: make dashboard"
    read = Dashboard.from_json(json.loads(DASHBOARD.read_text("utf-8")))
    panels = [panel for panel in read.panels or () if isinstance(panel, Panel)]
    assert [panel.title for panel in panels] == [panel.title for panel in PANELS]
    assert all(panel.datasource.uid == "$datasource" for panel in panels if panel.datasource)


def test_every_panel_has_something_to_show_of_the_recorded_run(tmp_path: Path) -> None:
    recorded = recording.read(ROOT / RECORDED)
    assert recorded.times[-1] > 100
    for panel in PANELS:
        curves = picture.curves(panel, recorded)
        assert curves, panel.title
        assert any(np.nanmax(values) > 0 for values in curves.values()), panel.title
    assert {name for name, _ in recorded.series} <= SAMPLES.keys()
    assert picture.draw(recorded, tmp_path / "dashboard.png").stat().st_size > 50_000


@needs_promtool
@pytest.mark.parametrize(
    "arguments", [("check", "config", "prometheus.yaml"), ("test", "rules", "rules.test.yaml")], ids=" ".join
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
