"""Examples of https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from measure.autoscale.hpa import Controller, Hpa, Kind, Metric, Reading, proposal


def pods(*values: float, missing: int = 0, pending: int = 0) -> Reading:
    return Reading(np.array(values), missing, pending)


def asked(reading: Reading, current: int, target: float = 100.0, kind: Kind = Kind.PODS) -> int | None:
    return proposal(Metric("queue", target, kind), reading, current, ready=len(reading.values))


def test_twice_the_target_doubles_and_half_halves() -> None:
    # "if the current metric value is 200m, and the desired value is 100m, the number of replicas will be doubled"
    assert asked(pods(200, 200, 200), 3) == 6
    # "If the current value is instead 50m, you'll halve the number of replicas"
    assert asked(pods(50, 50, 50, 50), 4) == 2


def test_the_number_is_rounded_up() -> None:
    assert asked(pods(150, 150, 150), 3) == 5  # 4.5


@pytest.mark.parametrize(("value", "expected"), [(109, 10), (91, 10), (111, 12), (89, 9)])
def test_a_tenth_more_or_less_changes_nothing(value: float, expected: int) -> None:
    assert asked(pods(*[value] * 10), 10) == expected


def test_pods_that_do_not_run_yet_count_as_idle_before_a_scale_up() -> None:
    # two pods at 300 and two pending: (600 + 0) / 4 = 150 → 1.5 × 4 = 6, not 3 × 4
    assert asked(pods(300, 300, pending=2), 4) == 6


def test_pending_pods_that_bring_the_average_within_the_tolerance_suffice() -> None:
    # two at 210 and two pending: 105 on average, so the two that start are enough
    assert asked(pods(210, 210, pending=2), 4) == 4


def test_pending_pods_that_turn_the_scale_up_round_leave_it_as_it_is() -> None:
    # 150 of one, none of three: 37.5 on average, which is less
    assert asked(pods(150, pending=3), 4) == 4


def test_pods_without_a_metric_count_as_at_the_target_before_a_scale_down() -> None:
    # 50, 50 and two at 100: 75 on average → 3 of 4
    assert asked(pods(50, 50, missing=2), 4) == 3


def test_pods_without_a_metric_count_as_idle_before_a_scale_up() -> None:
    # 300, 300 and two at 0: 150 → 6
    assert asked(pods(300, 300, missing=2), 4) == 6


def test_a_metric_of_no_pod_asks_for_nothing() -> None:
    assert asked(pods(missing=2), 2) is None


def test_an_external_average_is_the_sum_by_target() -> None:
    assert asked(pods(500.0, 250.0), 2, kind=Kind.EXTERNAL_AVERAGE) == 8
    assert asked(pods(0.0, 0.0), 2, kind=Kind.EXTERNAL_AVERAGE) == 0
    assert asked(pods(210.0), 2, kind=Kind.EXTERNAL_AVERAGE) == 2  # 1.05 of the target


def test_an_external_value_is_not_shared_among_the_replicas() -> None:
    # as TorchServe's sample has it: 5257.63 of 7000 with three replicas asks for three
    metric = Metric("cumulative", 7000.0, Kind.EXTERNAL_VALUE)
    assert proposal(metric, pods(5257.63), 3, ready=3) == 3
    assert proposal(metric, pods(70_000.0), 3, ready=3) == 30


def test_of_several_metrics_the_largest_proposal_counts() -> None:
    spec = Hpa(1, 100, (Metric("queue", 4.0), Metric("busy", 0.5)))
    readings = {"queue": pods(0.0, 0.0), "busy": pods(1.0, 1.0)}
    assert Controller(spec).desired(0.0, 2, 2, readings) == 4


def test_a_metric_without_a_value_allows_more_but_not_fewer() -> None:
    spec = Hpa(1, 100, (Metric("queue", 4.0), Metric("busy", 0.5)))
    assert Controller(spec).desired(0.0, 4, 4, {"busy": pods(*[0.1] * 4)}) == 4
    assert Controller(spec).desired(0.0, 4, 4, {"busy": pods(*[1.0] * 4)}) == 8
    assert Controller(spec).desired(0.0, 4, 4, {}) == 4


def test_replicas_stay_within_the_limits() -> None:
    spec = Hpa(2, 5, (Metric("queue", 1.0),))
    assert Controller(spec).desired(0.0, 4, 4, {"queue": pods(*[100.0] * 4)}) == 5
    assert Controller(spec).desired(0.0, 9, 9, {}) == 5
    assert Controller(spec).desired(0.0, 1, 1, {}) == 2


def test_nothing_is_scaled_from_zero() -> None:
    assert Controller(Hpa(1, 5, (Metric("queue", 1.0),))).desired(0.0, 0, 0, {"queue": pods()}) == 0
