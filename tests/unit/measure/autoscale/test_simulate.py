"""The whole simulation, of an hour and of small fleets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from measure.autoscale import plots, report, service, simulate
from measure.autoscale.hpa import Hpa, Metric
from tests.unit.measure.autoscale.services import service as made


def test_an_hour_gives_a_recommendation_figures_and_plots(tmp_path: Path) -> None:
    fast = made(model="full-size", batch=8, delay=0.005, fixed=0.05, per_second=0.05)
    service.write(fast, {}, tmp_path)
    hour = np.concatenate([np.full(25, 0.3), np.full(10, 1.0), np.full(25, 0.3)])
    found = simulate.simulate(tmp_path, Console(quiet=True), hour, sizes=(1, 3), sweep_size=3)
    settings = {score["name"]: score for score in found["scores"]}
    assert found["recommended"]["name"] in settings
    assert settings["TorchServe's sample"]["cost"] > 3 * settings["busy 0.5"]["cost"]
    assert settings["busy 0.8"]["cost"] <= settings["busy 0.4"]["cost"]
    for name in (plots.SIZES_FILE, plots.SIGNALS_FILE):
        assert (tmp_path / name).stat().st_size > 10_000
    assert all(line.startswith("|") for line in report.table_of_sizes(found))
    assert found["recommended"]["name"] in "".join(report.table_of_scores(found))


def test_other_thresholds_in_the_manifests_are_said() -> None:
    one, other = Hpa(1, 9, (Metric("queue", 4.0),)), Hpa(1, 9, (Metric("queue", 2.0), Metric("busy", 0.5)))
    assert simulate.recommended_otherwise(one, one) == ""
    assert simulate.recommended_otherwise(one, other) == "queue to 2, busy to 0.5"
