from __future__ import annotations

import pytest

from measure.loadtest.slo import parse
from measure.loadtest.step import Settled, measured_seconds, warmup_seconds
from tests.unit.measure.loadtest.records import record


def test_a_step_lasts_until_a_queue_that_grows_by_the_precision_reaches_the_bound() -> None:
    assert measured_seconds(parse("p99=2s"), rate=100) == pytest.approx(40)  # 2 s / 5 %


def test_a_step_has_the_requests_that_its_percentile_needs() -> None:
    assert measured_seconds(parse("p99=2s"), rate=1) == 368
    assert measured_seconds(parse("p95=2s"), rate=1) == 72


def test_the_warm_up_is_twice_the_bound() -> None:
    assert warmup_seconds(parse("p99=2s")) == 4
    assert warmup_seconds(parse("p99=100ms")) == 3


def test_a_step_is_settled_once_its_interval_cannot_come_back() -> None:
    # of 400 requests the lower end is the 392nd: with 9 late ones it is late whatever comes
    settled = Settled(parse("p99=2s"), 400, warmup=4)
    for moment in range(8):
        settled.add(record(10.0 + moment, 3.0))
        settled.add(record(10.0 + moment, 1.0))
        settled.add(record(1.0, 3.0))  # in the warm-up
    assert not settled()
    settled.add(record(20.0, 0.01, error="overloaded"))
    assert settled()
