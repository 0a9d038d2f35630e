"""The search against servers whose capacity is known by construction."""

from __future__ import annotations

import math

import pytest

from measure.loadtest import LoadTestError
from measure.loadtest.capacity import Step, search
from measure.loadtest.slo import parse
from measure.loadtest.summary import Summary

SLO = parse("p99=2s")


def measured(rate: float, latency: float, *, lag: float = 0.0, count: int = 1000) -> Summary:
    return Summary(count, {}, rate, rate, 0.0, (latency,) * count, lag, count / rate)


def server(capacity: float, calls: list[float] | None = None):  # type: ignore[no-untyped-def]
    """One whose p99 is 1 s up to its capacity and 9 s beyond."""

    def run(rate: float) -> Summary:
        if calls is not None:
            calls.append(rate)
        return measured(rate, 1.0 if rate <= capacity else 9.0)

    return run


@pytest.mark.parametrize("capacity", [10.1, 13.0, 17.77, 19.9])
def test_the_capacity_is_found_to_the_precision(capacity: float) -> None:
    found = search(server(capacity), SLO, 10, 20)
    assert found.rate <= capacity <= 1.05 * found.rate
    assert found.repeated


def test_the_search_measures_the_bracket_then_halves_its_ratio_then_repeats() -> None:
    calls: list[float] = []
    search(server(12.0, calls), SLO, 10, 20, precision=0.2)
    # √(10·20) = 14.14 fails, √(10·14.14) = 11.89 passes, 14.14/11.89 = 1.19 is close enough
    assert calls == pytest.approx([10, 20, 14.142, 11.892, 11.892], abs=1e-3)


def test_a_bracket_below_the_capacity_moves_up() -> None:
    found = search(server(50.0), SLO, 10, 20, most_steps=20)
    assert found.rate <= 50 <= 1.05 * found.rate


def test_a_bracket_above_the_capacity_moves_down() -> None:
    found = search(server(3.0), SLO, 10, 20, most_steps=20)
    assert found.rate <= 3 <= 1.05 * found.rate


def test_a_server_that_never_fails_gives_the_highest_rate_tried() -> None:
    found = search(server(math.inf), SLO, 10, 20, most_steps=4)
    assert (found.rate, found.high, found.repeated) == (45.0, None, False)


def test_a_server_that_never_holds_is_said_with_its_breach() -> None:
    with pytest.raises(LoadTestError, match=r"even 1\.25 requests/s miss the SLO: p99 is 9\.00 s, above 2 s"):
        search(server(0.0), SLO, 10, 20, most_steps=4)


def test_a_rate_that_fails_its_repetition_is_not_the_capacity() -> None:
    calls: list[float] = []

    def fickle(rate: float) -> Summary:
        calls.append(rate)
        return measured(rate, 1.0 if rate <= 14 and calls.count(rate) == 1 else 9.0)

    found = search(fickle, SLO, 10, 14.1, precision=0.5)
    # 10 passes, 14.1 fails; 10 again fails; 10/1.5 passes
    assert found.rate == pytest.approx(10 / 1.5)


def test_the_steps_are_bounded() -> None:
    calls: list[float] = []
    search(server(15.0, calls), SLO, 1, 1000, most_steps=5)
    assert len(calls) == 5


def test_confidence_takes_the_intervals_ends_not_the_percentiles() -> None:
    # 400 requests: p99 is the 396th, its interval from the 392nd to the 400th
    passing = (1.0,) * 396 + (3.0,) * 4  # p99 is 1 s, but the upper end 3 s
    step = Step(1.0, Summary(400, {}, 1, 1, 0, passing, 0, 400), ())
    assert not step.surely_within(SLO)
    failing = (1.0,) * 395 + (3.0,) * 5  # p99 is 3 s, but the lower end 1 s
    step = Step(1.0, Summary(400, {}, 1, 1, 0, failing, 0, 400), ("p99 is 3.00 s, above 2 s",))
    assert not step.surely_beyond(SLO)
    found = search(server(15.0), SLO, 10, 20)
    assert found.low == found.rate
    assert found.high is not None
    assert found.rate < found.high <= 1.05 * found.rate


def test_a_lagging_generator_ends_the_search_rather_than_pass_for_a_slow_server() -> None:
    with pytest.raises(LoadTestError, match="late by 500 ms"):
        search(lambda rate: measured(rate, 2.2, lag=0.5), SLO, 10, 20)


def test_what_holds_with_a_lagging_generator_holds_all_the_more() -> None:
    found = search(lambda rate: measured(rate, 1.0 if rate <= 15 else 9.0, lag=0.08), SLO, 10, 20)
    assert found.rate == pytest.approx(15, rel=0.05)


def test_a_full_server_that_starves_the_generator_too_has_failed_all_the_same() -> None:
    def run(rate: float) -> Summary:
        return measured(rate, 1.0) if rate <= 15 else measured(rate, 9.0, lag=0.2)

    assert search(run, SLO, 10, 20).rate == pytest.approx(15, rel=0.05)
