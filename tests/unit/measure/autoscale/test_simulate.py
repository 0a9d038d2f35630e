"""The whole simulation, of an hour and of small fleets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from measure.autoscale import manifests, plots, report, service, simulate
from tests.unit.measure.autoscale.services import service as made


def test_an_hour_gives_a_recommendation_figures_and_plots(tmp_path: Path) -> None:
    fast = made(model="full-size", batch=8, delay=0.005, fixed=0.05, per_second=0.05)
    service.write(fast, {}, tmp_path)
    hour = np.concatenate([np.full(25, 0.3), np.full(10, 1.0), np.full(25, 0.3)])
    screen = Console(record=True)
    found = simulate.simulate(tmp_path, screen, hour, sizes=(1, 3), sweep_size=3)
    said = screen.export_text()
    settings = {score["name"]: score for score in found["scores"]}
    assert found["recommended"]["name"] in settings
    assert settings["TorchServe's sample"]["cost"] > 3 * settings["busy 0.5"]["cost"]
    assert settings["busy 0.8"]["cost"] <= settings["busy 0.4"]["cost"]
    for name in (plots.SIZES_FILE, plots.SIGNALS_FILE):
        assert (tmp_path / name).stat().st_size > 10_000
    assert [row[0] for row in report.table_of_sizes(found).rows] == [
        "HPA, peak of 1",
        "HPA, peak of 3",
        "KEDA, peak of 1",
    ]
    assert f"**{found['recommended']['name']}**" in [row[0] for row in report.table_of_scores(found).rows]
    other = found["recommended"]["targets"] != simulate.targets(manifests.hpa())
    assert ("deploy/kubernetes has other thresholds: set busy to" in said) == other
