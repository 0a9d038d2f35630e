from __future__ import annotations

import numpy as np

from measure.autoscale.hpa import Hpa, Kind, Metric, Reading
from measure.autoscale.keda import Activation, Calendar, Operator, ScaledObject

HPA = Hpa(1, 100, (Metric("queue", 4.0, Kind.EXTERNAL_AVERAGE),))


def operator(least: int = 0, calendar: Calendar | None = None) -> Operator:
    return Operator(ScaledObject(least, HPA, (Activation("queue", 5.0),), 30.0, 300.0, calendar))


def test_a_trigger_above_its_activation_threshold_wakes_from_zero() -> None:
    keda = operator()
    assert keda.polled(0.0, 0, {"queue": 5.0}) == 0
    assert keda.polled(30.0, 0, {"queue": 6.0}) == 1


def test_none_are_left_once_the_cooldown_has_passed_since_it_was_last_active() -> None:
    keda = operator()
    assert keda.polled(0.0, 3, {"queue": 6.0}) == 3
    assert keda.polled(270.0, 3, {"queue": 0.0}) == 3
    assert keda.polled(300.0, 3, {"queue": 0.0}) == 0


def test_a_least_number_above_zero_is_never_left() -> None:
    keda = operator(least=2)
    assert keda.polled(10_000.0, 2, {"queue": 0.0}) == 2


def test_a_lost_metric_ends_no_replica() -> None:
    keda = operator()
    assert keda.polled(0.0, 3, {"queue": 6.0}) == 3
    assert keda.polled(3000.0, 3, {}) == 3
    assert keda.polled(3030.0, 3, {"queue": 0.0}) == 0


def test_without_pods_a_trigger_has_no_value_and_wakes_nobody() -> None:
    assert operator().polled(0.0, 0, {}) == 0


def test_a_calendar_wakes_and_holds_its_replicas() -> None:
    keda = operator(calendar=Calendar(6 * 3600.0, 20 * 3600.0, 3))
    assert keda.polled(5.9 * 3600, 0, {}) == 0
    assert keda.polled(6.0 * 3600, 0, {}) == 1
    nothing = {"queue": Reading(np.array([0.0]), 0, 0)}
    assert keda.desired(6.0 * 3600, 1, 1, nothing) == 3
    assert keda.polled(30 * 3600.0 - 60, 3, {"queue": 0.0}) == 0  # the next day, before six


def test_above_zero_the_hpa_of_its_thresholds_decides() -> None:
    assert operator().desired(0.0, 2, 2, {"queue": Reading(np.array([8.0, 4.0]), 0, 0)}) == 3
