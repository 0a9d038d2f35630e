from __future__ import annotations

import math
from pathlib import Path

import pytest

from bundle import shipped
from measure.autoscale import measure, validate
from measure.autoscale.replica import step
from measure.loadtest import slo
from measure.loadtest.summary import Summary
from measure.loadtest.target import Clip
from tests.unit.measure.autoscale.services import service

CLIPS = [
    Clip(f"{seconds}.wav", Path("nowhere"), float(seconds), "audio/wav") for seconds in (4, 6, 8, 10, 12)
]
SLO = slo.parse("p99=2s")
REPLICA = service(per_second=0.0125, fixed=0.0)  # 0.1 s of a clip of 8 s: ten a second at most


def test_the_predicted_capacity_is_below_saturation_by_what_the_slo_costs() -> None:
    assert 8.0 < validate.predict(REPLICA, CLIPS, SLO) < 10.0


def test_a_simulated_step_has_the_load_test_s_moments_and_warm_up() -> None:
    found = step(REPLICA, CLIPS, SLO, 5.0, seed=7)
    # 40 s at least, and as many as p99's interval needs: 368 / 5 s
    assert found.seconds == pytest.approx(368 / 5.0)
    assert found.requests == pytest.approx(368, rel=0.1)
    assert step(REPLICA, CLIPS, SLO, 5.0, seed=7) == found


def test_a_rate_that_broke_down_is_written_without_a_latency() -> None:
    real = Summary(2, {"overloaded": 1}, 2.0, 1.0, 1.0, (0.1, math.inf), 0.0, 1.0)
    simulated = Summary(2, {}, 2.0, 2.0, 1.0, (0.1, 0.2), 0.0, 1.0)
    assert validate.point(2.0, real, simulated) == validate.Point(2.0, 2, 0.1, None, 0.1, 0.2)


def test_the_queue_s_size_is_the_shipped_configuration_s() -> None:
    assert measure.queue_size(shipped.SHIPPED.read_text("utf-8")) == 100


def test_a_command_without_measurements_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate.main(["--results", str(tmp_path)]) == 2
    assert "measure.autoscale.measure" in capsys.readouterr().err
