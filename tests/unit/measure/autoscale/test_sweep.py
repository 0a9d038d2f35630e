from __future__ import annotations

import numpy as np
import pytest

from measure.autoscale.day import Trial
from measure.autoscale.fleet import QUEUE, Start
from measure.autoscale.hpa import Hpa, Metric
from measure.autoscale.sweep import Score, best, needed_hours, roomy, run_all, score
from tests.unit.measure.autoscale.services import service


def test_the_cheapest_that_meets_the_slo_is_recommended() -> None:
    cheap_but_late = Score("a", 1.0, 0.98, 0)
    cheap_but_refusing = Score("b", 1.0, 1.0, 1)
    dear = Score("c", 2.0, 1.0, 0)
    fair = Score("d", 1.5, 0.995, 0)
    assert best([cheap_but_late, cheap_but_refusing, dear, fair]) is fair


def test_where_none_keeps_it_the_nearest_is_taken() -> None:
    near = Score("a", 3.0, 0.97, 5)
    assert best([Score("b", 1.0, 0.9, 0), near]) is near


def test_foresight_has_one_replica_at_least_and_what_each_minute_needs() -> None:
    profile = np.array([0.0, 0.25, 0.26, 1.0])
    assert needed_hours(profile, 4) == pytest.approx((1 + 1 + 2 + 4) / 60)


def test_a_large_fleet_is_given_room() -> None:
    assert roomy(Hpa(2, 100, ()), 10).most == 100
    assert roomy(Hpa(2, 100, ()), 1000).most == 2002


def test_trials_come_back_in_order_and_are_scored_by_their_worst_day() -> None:
    rules = Hpa(2, 50, (Metric(QUEUE, 2.0),))
    profile = np.concatenate([np.full(10, 0.5), np.full(10, 1.0)])
    trials = [Trial(size, 0.5, rules, service(), profile, Start()) for size in (1, 4)]
    days = run_all(trials)
    assert [day.requests for day in days] == pytest.approx([450, 1800], rel=0.15)
    found = score("it", trials, days, 1e9)
    assert found.within == 1.0
    costs = [day.replica_hours / needed_hours(profile, size) for day, size in zip(days, (1, 4), strict=True)]
    assert found.cost == pytest.approx(np.mean(costs))
