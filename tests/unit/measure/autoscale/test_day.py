from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from measure.autoscale.day import BINS, Day, Trial, percentiles, simulate
from measure.autoscale.fleet import BUSY, CUMULATIVE, QUEUE, Start
from measure.autoscale.hpa import Controller, Hpa, Kind, Metric
from measure.autoscale.keda import Activation, Calendar, Operator, ScaledObject
from tests.unit.measure.autoscale.services import service

HOUR = np.concatenate(
    [np.full(20, 0.25), np.full(20, 1.0), np.full(40, 0.25)]
)  # four times the rate for 20 minutes
REPLICA = service(
    fixed=0.2, per_second=0.05, batch=4, delay=0.005, startup=10.0
)  # 0.6 s of a lone clip of 8 s
START = Start(load=10.0)


def day(spec: Hpa | ScaledObject, peak: float = 20.0, first: int = 4, **more: object) -> Day:
    scaler = Operator(spec) if isinstance(spec, ScaledObject) else Controller(spec)
    return simulate(Trial(1, peak, spec, REPLICA, HOUR, START, **more), scaler, first)  # type: ignore[arg-type]


BOTH = Hpa(2, 60, (Metric(BUSY, 0.6), Metric(QUEUE, 4.0)))


@pytest.mark.parametrize("least_request", [False, True])
def test_every_request_is_answered_refused_or_found_nobody(least_request: bool) -> None:
    found = day(BOTH, least_request=least_request)
    # 60 minutes at 5 a second and 20 at 20: 42,000, and three deviations of a Poisson number
    assert found.requests == pytest.approx(42_000, abs=3 * 205)
    assert found.failed == 0
    assert found.left < 50


def test_equal_seeds_give_equal_days() -> None:
    one, other, third = day(BOTH, seed=1), day(BOTH, seed=1), day(BOTH, seed=2)
    assert np.array_equal(one.p99, other.p99)
    assert np.array_equal(one.paid, other.paid)
    assert not np.array_equal(one.p99, third.p99)


def test_it_scales_up_with_the_burst_and_down_after_it() -> None:
    found = day(BOTH)
    assert found.ready[:20].max() < found.ready[25:40].max()
    assert found.ready[-1] < 0.6 * found.ready[25:40].max()
    assert np.median(found.p99[25:40]) < 5.0


def test_torchserve_s_counter_takes_every_replica_and_gives_none_back() -> None:
    spec = Hpa(2, 30, (Metric(CUMULATIVE, 7000.0, Kind.EXTERNAL_VALUE),))
    found = day(spec)
    assert found.ready[10:].min() == 30


def test_a_full_queue_refuses_where_nothing_scales() -> None:
    found = day(Hpa(1, 1, ()), first=1)
    assert found.refused.sum() > 1000
    assert np.isinf(found.p99[30])
    assert found.requests == found.answered.sum() + found.refused.sum() + found.left


def test_what_comes_while_nobody_is_there_is_not_served() -> None:
    keda = ScaledObject(
        0, Hpa(1, 60, (Metric(QUEUE, 4.0, Kind.EXTERNAL_AVERAGE),)), (Activation(QUEUE, 0.0),), 15.0, 300.0
    )
    found = day(keda, first=0)
    assert found.answered.sum() == 0  # no pod has a queue, so the queue wakes nobody
    assert found.unserved.sum() == found.requests
    woken = day(replace(keda, calendar=Calendar(600.0, 4800.0, 3)), first=0)
    assert woken.answered[:10].sum() == 0
    assert woken.answered[15:].sum() > 0


def test_a_constant_fleet_costs_its_replicas() -> None:
    found = day(Hpa(30, 30, ()), first=30)
    assert found.replica_hours == pytest.approx(30 * 80 / 60)
    assert found.share_within(6.0) == 1.0


def test_a_percentile_is_the_upper_edge_of_its_bin() -> None:
    counts = np.zeros((3, BINS), np.int64)
    counts[0, 100], counts[0, 200] = 99, 1
    counts[1, 100] = 98
    p99 = percentiles(counts, np.array([0, 2, 0]), 0.99)
    assert p99[0] == pytest.approx(0.001 * 1.02**101)
    assert np.isinf(p99[1])  # two of a hundred were lost
    assert p99[2] == 0.0  # nobody came
