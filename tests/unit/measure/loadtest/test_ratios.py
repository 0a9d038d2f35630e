"""Percentiles of runs together, and how those of two conditions compare."""

from __future__ import annotations

import pytest

from bundle.enrolment.intervals import Interval
from measure.loadtest.comparison import Run
from measure.loadtest.ratios import by_condition, compared, percentiles, pooled, shown, slower, verdict


def run(number: int, *latencies: float, condition: str = "a") -> Run:
    return Run(condition, number, latencies, 0)


FIRST = [run(1, 10, 20, 100), run(2, 20, 30)]
OURS = [run(1, 10, 30, 150, condition="b"), run(2, 30, 30, condition="b")]


def test_a_ratio_is_of_pooled_percentiles_and_its_interval_draws_rounds() -> None:
    assert (pooled(FIRST, 0.5), pooled(OURS, 0.99)) == (20, 150)
    # of either round alone it is 150 to 100, and 30 to 30
    assert slower(OURS, FIRST, 0.99) == Interval(1.5, 1.0, 1.5)
    assert compared(OURS, FIRST, 1.6) == ["1.50 (1.50–1.50)", shown(Interval(1.5, 1.0, 1.5)), "yes"]
    assert compared(OURS, FIRST, None)[-1] == ""
    assert compared(FIRST, FIRST, 1.6) == ["1", "1", ""]


def test_conditions_without_a_run_are_left_out() -> None:
    assert by_condition([*OURS, *FIRST], "abc") == {"a": FIRST, "b": OURS}


def test_runs_without_an_answer_have_no_percentiles() -> None:
    assert percentiles(FIRST) == ["20", "100"]
    assert percentiles([run(1)]) == ["–", "–"]


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.9, 1.05, "yes"), (1.06, 1.2, "no"), (1.0, 1.06, "undecided")]
)
def test_a_verdict_needs_an_interval_on_one_side(low: float, high: float, said: str) -> None:
    assert verdict(Interval(1.0, low, high), 1.05) == said
