"""Panels → deploy/grafana/dashboard.json, through Grafana's own models.

python -m measure.dashboard.dashboard
"""

from __future__ import annotations

import json
import string
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from measure.dashboard.panels import ROWS, Panel

PATH = Path("deploy/grafana/dashboard.json")
WIDTH, HEIGHT = 8, 7  # of a panel, in Grafana's grid of 24 columns
SOURCE = models.DataSourceRef(type_val="prometheus", uid="$datasource")


def build() -> models.Dashboard:
    """The whole dashboard, as Grafana's model of it."""
    made = (
        dashboard.Dashboard("Speaker identification")
        .uid("speaker-id")
        .description("One server or many, from the metrics of docs/monitoring.md.")
        .tags(["speaker-id"])
        .annotations([])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("model")
            .label("Model")
            .datasource(SOURCE)
            .query("label_values(speaker_id_workers_wanted, model)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    for title, panels in ROWS.items():
        made = made.with_row(dashboard.Row(title))
        for panel in panels:
            made = made.with_panel(_panel(panel))
    return made.build()


def _panel(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.help)
        .datasource(SOURCE)
        .unit(panel.unit)
        .min(0)
        .span(WIDTH)
        .height(HEIGHT)
        .line_width(1)
        .fill_opacity(40 if panel.stacked else 8)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if panel.stacked:
        made = made.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    for letter, (legend, query) in zip(string.ascii_uppercase, panel.curves.items(), strict=False):
        asked = prometheus.Dataquery().ref_id(letter).expr(query.promql).legend_format(legend)
        made = made.with_target(asked.datasource(SOURCE))
    return made


def render() -> str:
    """The file's text."""
    written: str = JSONEncoder(sort_keys=True, indent=2).encode(build())
    return json.dumps(json.loads(written), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(render(), "utf-8")
    print(f"wrote {PATH}")
