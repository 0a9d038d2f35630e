"""Runs → percentiles of their latencies, and how those of one condition compare with another's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray

from bundle.enrolment.intervals import Interval, by_unit
from measure.loadtest.comparison import Run
from measure.loadtest.summary import percentile

SHARES = (0.5, 0.99)
DRAWS = 2000
Kind = TypeVar("Kind", bound=Run)


def by_condition(runs: Sequence[Kind], conditions: Iterable[str]) -> dict[str, list[Kind]]:
    """The runs of each condition; none that has no run."""
    found = {condition: [run for run in runs if run.condition == condition] for condition in conditions}
    return {condition: runs for condition, runs in found.items() if runs}


def pooled(runs: Iterable[Run], share: float) -> float:
    """A percentile of the latencies of all of these runs."""
    return percentile(sorted(each for run in runs for each in run.latencies), share)


def ratio(
    ours: Sequence[Kind], theirs: Sequence[Kind], figure: Callable[[Sequence[Kind]], float]
) -> Interval:
    """Of a figure of all of ours by that of theirs; rounds are drawn again, each with its run of both."""
    pairs = list(zip(ours, theirs, strict=True))

    def by(rounds: NDArray[Any]) -> float:
        mine, others = zip(*(pairs[each] for each in rounds), strict=True)
        return figure(mine) / figure(others)

    return by_unit(len(pairs), by, DRAWS)


def slower(ours: Sequence[Run], theirs: Sequence[Run], share: float) -> Interval:
    """The ratio of a percentile."""
    return ratio(ours, theirs, lambda runs: pooled(runs, share))


def shown(found: Interval) -> str:
    """A ratio with its interval."""
    return f"{found.value:.2f} ({found.low:.2f}–{found.high:.2f})"


def verdict(found: Interval, most: float) -> str:
    """Whether the interval shows that a ratio is at most this, or that it is more, or neither."""
    return "yes" if found.high <= most else "no" if found.low > most else "undecided"


def percentiles(runs: Sequence[Run]) -> list[str]:
    """Cells: p50 and p99 in milliseconds."""
    return [f"{pooled(runs, share):.0f}" if any(run.latencies for run in runs) else "–" for share in SHARES]


def compared(ours: Sequence[Run], first: Sequence[Run], most: float | None) -> list[str]:
    """Cells: p50 and p99 in units of the first condition's, and whether the latter is at most this.

    Args:
        ours: of one condition.
        first: of the one that it is compared with, which may be the same.
        most: that the ratio of the p99 may be; None where nothing is asked of it.
    """
    if ours is first:
        return ["1", "1", ""]
    found = [slower(ours, first, share) for share in SHARES]
    return [*map(shown, found), "" if most is None else verdict(found[-1], most)]


def failed(runs: Sequence[Run]) -> str:
    return str(sum(run.failed for run in runs))
