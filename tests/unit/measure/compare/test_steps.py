"""The search for a server's capacity: down the ladder until the bound holds, up once if it holds at first."""

from __future__ import annotations

import pytest

from measure.compare.steps import RateLoad, RateStep, broken, capacity, held
from measure.loadtest.summary import Summary

QUIET = Summary(1, {}, 1.0, 1.0, 1.0, (0.1,), 0.0, 1.0)


def climb(limit: float) -> list[RateStep]:
    """A server of saturation 10 that holds the bound up to `limit` requests a second."""
    return capacity(lambda rate: RateStep(rate, QUIET, 0, met=rate <= limit, whole=True), 10.0)


def rates(steps: list[RateStep]) -> list[float]:
    return pytest.approx([step.rate for step in steps])  # type: ignore[return-value]


def test_it_goes_down_until_a_rate_holds_and_no_further() -> None:
    steps = climb(6.0)
    assert rates(steps) == [8.5, 7.0, 5.5]
    assert held(steps) == pytest.approx(5.5)
    assert broken(steps) == pytest.approx(7.0)


def test_it_tries_one_rate_above_where_the_first_holds() -> None:
    steps = climb(9.0)
    assert rates(steps) == [8.5, 9.5]
    assert held(steps) == pytest.approx(8.5)
    assert broken(steps) == pytest.approx(9.5)


def test_a_server_that_holds_nowhere_has_no_capacity() -> None:
    steps = climb(1.0)
    assert len(steps) == 5
    assert held(steps) is None


def test_a_server_that_holds_everywhere_is_broken_nowhere() -> None:
    assert broken(climb(100.0)) is None


def test_a_slow_server_is_asked_for_longer_so_that_there_are_requests_to_judge() -> None:
    load = RateLoad([], {}, bound=10.0, seconds=30.0)
    assert load.lasting(2.0) == 30.0
    assert load.lasting(0.1) == pytest.approx(200.0)
