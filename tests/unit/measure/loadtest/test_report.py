"""What a reader sees, made of records by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

from measure.loadtest import plots, report
from measure.loadtest.capacity import search
from measure.loadtest.drive import Record
from measure.loadtest.slo import parse
from measure.loadtest.summary import Summary, summary
from tests.unit.measure.loadtest.records import record


def run(records: list[Record], slo: str = "p99=2s", **settings: object) -> report.Run:
    shown = {"urls": ["http://somewhere"], "shape": "poisson", "rate": 2.0, "callers": None}
    return report.Run(shown | settings, records, 50.0, 0.0, summary(records, 0, 50.0), parse(slo), {})


def records(count: int = 100) -> list[Record]:
    rest = {"decode_ms": 10.0, "inference_ms": 60.0, "batch_size": 2}
    return [record(moment / 2, 0.1, **rest) for moment in range(count)]


def test_the_page_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    page, _ = report.write(run(records()), tmp_path)
    html = page.read_text("utf-8")
    assert html.count("<svg") == 5
    for title in ("Latency", "Latency over time", "Offered and served", "Batch size", "Where the time goes"):
        assert f"<h2>{title}</h2>" in html
    assert not re.findall(r'(?:src|href)="(?!#|data:)', html)
    assert "SLO p99=2s met" in html


def test_the_json_has_the_numbers_and_what_they_were_measured_on(tmp_path: Path) -> None:
    _, data = report.write(run(records()), tmp_path)
    content = json.loads(data.read_text())
    assert content["mean"] == {"queue_ms": 30.0, "decode_ms": 10.0, "inference_ms": 60.0, "batch_size": 2.0}
    assert content["result"]["offered_per_second"] == 2.0
    assert content["result"]["p99"] == 0.1
    assert content["breaches"] == []
    assert {"cpu", "commit", "versions", "cores"} <= set(content["machine"])
    assert "locust 2." in content["machine"]["versions"]


def test_a_server_that_says_no_timings_has_no_plots_of_them(tmp_path: Path) -> None:
    bare = [record(moment / 2) for moment in range(100)]
    page, _ = report.write(run(bare), tmp_path)
    assert page.read_text("utf-8").count("<svg") == 3


def test_a_run_in_which_everything_failed_is_reported_too(tmp_path: Path) -> None:
    failed = [record(moment / 2, error="overloaded", status=503, label=None) for moment in range(100)]
    made = run(failed)
    page, data = report.write(made, tmp_path)
    assert made.verdict == "SLO p99=2s not met: p99 is ∞, above 2 s"
    assert ("failed", "100 % (100 overloaded)") in made.rows()
    assert json.loads(data.read_text())["result"]["p99"] is None
    assert "100 overloaded" in page.read_text("utf-8")


def test_a_closed_loop_is_labelled(tmp_path: Path) -> None:
    page, _ = report.write(run(records(), callers=4), tmp_path)
    assert "<strong>Closed loop</strong> of 4 callers" in page.read_text("utf-8")


def test_a_late_generator_is_flagged_before_any_verdict() -> None:
    late = [record(moment / 2, 1.0, sent=moment / 2 + 0.2) for moment in range(100)]
    assert run(late).verdict.startswith("INVALID: the load generator itself was late by 200 ms")


def test_urls_are_escaped(tmp_path: Path) -> None:
    page, _ = report.write(run(records(), urls=["http://h/<script>"]), tmp_path)
    assert "<script>" not in page.read_text("utf-8")


def test_the_capacity_curve_is_drawn_even_where_requests_failed(tmp_path: Path) -> None:
    def server(rate: float) -> Summary:
        latency = 1.0 if rate < 15 else float("inf")
        return Summary(400, {}, rate, rate, 0.0, (latency,) * 400, 0.0, 400 / rate)

    found = search(server, parse("p99=2s"), 10, 20)
    path = plots.capacity(found, {"k6": found}, tmp_path / "deep" / "capacity.png")
    assert path.read_bytes().startswith(b"\x89PNG")
