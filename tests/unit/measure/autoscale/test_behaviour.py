"""Examples of https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/, and by hand."""

from __future__ import annotations

import pytest

from measure.autoscale.behaviour import DOWN, UP, Behaviour, Policy, Rules

DOCUMENTED = (Policy(False, 4, 60.0), Policy(True, 10, 60.0))


def test_the_documented_scale_down_of_eighty() -> None:
    # "if there are 80 replicas and the target has to be scaled down to 10 replicas then during the first step 8
    # replicas will be reduced. In the next iteration when the number of replicas is 72, 10% of the pods is 7.2 but the
    # number is rounded up to 8. ... When the number of replicas falls below 40 the first policy will be applied and 4
    # replicas will be reduced at a time."
    limits = Behaviour(UP, Rules(0.0, DOCUMENTED))
    current, seen = 80, []
    for minute in range(30):
        current = limits.limit(60.0 * minute, current, 10, 1, 100)
        seen.append(current)
    assert seen[:2] == [72, 64]
    below = [count for count in seen if count <= 40]
    assert below[:4] == [below[0], below[0] - 4, below[0] - 8, below[0] - 12]
    assert seen[-1] == 10


def test_the_smallest_change_counts_under_min() -> None:
    limits = Behaviour(UP, Rules(0.0, DOCUMENTED, "Min"))
    assert limits.limit(0.0, 80, 10, 1, 100) == 76


def test_disabled_keeps_the_number() -> None:
    assert Behaviour(UP, Rules(0.0, DOCUMENTED, "Disabled")).limit(0.0, 80, 10, 1, 100) == 80


@pytest.mark.parametrize(("current", "expected"), [(1, 5), (3, 7), (10, 20)])
def test_the_defaults_double_or_add_four(current: int, expected: int) -> None:
    assert Behaviour(UP, DOWN).limit(0.0, current, 1000, 1, 1000) == expected


def test_a_period_s_changes_count_together() -> None:
    limits = Behaviour(Rules(0.0, (Policy(True, 100, 30.0),)), DOWN)
    assert limits.limit(0.0, 4, 100, 1, 1000) == 8
    assert limits.limit(15.0, 8, 100, 1, 1000) == 8  # the four of half a minute ago are still counted
    assert limits.limit(30.0, 8, 100, 1, 1000) == 16


def test_the_highest_recommendation_of_five_minutes_holds() -> None:
    limits = Behaviour(UP, DOWN)
    assert limits.limit(0.0, 10, 10, 1, 100) == 10
    assert limits.limit(15.0, 10, 4, 1, 100) == 10
    assert limits.limit(290.0, 10, 6, 1, 100) == 10
    assert limits.limit(300.0, 10, 5, 1, 100) == 6  # the 10 of the beginning is forgotten
    assert limits.limit(589.0, 6, 5, 1, 100) == 6
    assert limits.limit(590.0, 6, 5, 1, 100) == 5


def test_the_lowest_recommendation_of_the_window_holds_a_scale_up_back() -> None:
    limits = Behaviour(Rules(60.0, UP.policies), DOWN)
    assert limits.limit(0.0, 2, 2, 1, 100) == 2
    assert limits.limit(30.0, 2, 6, 1, 100) == 2
    assert limits.limit(60.0, 2, 5, 1, 100) == 5
