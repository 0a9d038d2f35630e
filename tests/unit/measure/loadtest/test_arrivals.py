from __future__ import annotations

import numpy as np
import pytest

from measure.loadtest import LoadTestError
from measure.loadtest.arrivals import times


def test_constant_arrivals_are_one_over_the_rate_apart() -> None:
    assert times("constant", 4, 1.5, 0) == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


def test_constant_arrivals_end_before_the_run_does() -> None:
    assert times("constant", 10, 0.3, 0) == pytest.approx([0, 0.1, 0.2])


def test_poisson_arrivals_are_as_many_as_the_rate_says_and_in_order() -> None:
    moments = times("poisson", 50, 20, 0)
    assert len(moments) == 1000
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] < 20


def test_poisson_arrivals_know_nothing_of_each_other() -> None:
    gaps = np.diff(times("poisson", 100, 200, 1))
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.03)  # an exponential's
    assert np.corrcoef(gaps[1:], gaps[:-1])[0, 1] == pytest.approx(0, abs=0.03)


def test_equal_seeds_give_equal_arrivals_and_others_do_not() -> None:
    assert times("poisson", 5, 10, 3) == times("poisson", 5, 10, 3)
    assert times("poisson", 5, 10, 3) != times("poisson", 5, 10, 4)


def test_a_step_doubles_the_rate_at_half_time() -> None:
    moments = np.array(times("step", 10, 20, 0))
    assert [(moments < 10).sum(), (moments >= 10).sum()] == [100, 200]


def test_a_spike_is_four_times_the_rate_for_the_middle_tenth() -> None:
    moments = np.array(times("spike", 10, 100, 0))
    counts = np.histogram(moments, [0, 45, 55, 100])[0]
    assert counts.tolist() == [450, 400, 450]


@pytest.mark.parametrize(
    ("shape", "rate", "seconds", "said"),
    [
        ("poisson", 0, 10, "RATE=0 for 10 s: both must be more than 0"),
        ("poisson", -2, 10, "RATE=-2"),
        ("poisson", float("nan"), 10, "RATE=nan"),
        ("poisson", float("inf"), 10, "RATE=inf"),
        ("constant", 5, 0, "for 0 s"),
        ("poisson", 0.01, 10, "is 0.1 requests: ask for one at least, by RATE=0.1 or DURATION=100"),
        ("poisson", 1e6, 10, "is 10000000 requests, and a run has 100000 at most"),
        ("sawtooth", 5, 10, "SHAPE=sawtooth is unknown: take one of poisson, constant, step, spike"),
    ],
)
def test_what_makes_no_run_is_refused_with_the_limit(
    shape: str, rate: float, seconds: float, said: str
) -> None:
    with pytest.raises(LoadTestError) as refused:
        times(shape, rate, seconds, 0)
    assert said in str(refused.value)
