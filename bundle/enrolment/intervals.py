"""Intervals of measures over clips of few people: people are drawn again, not clips, which are alike within one.

What no clip showed, or every clip, is so in every draw, which would make an interval of no width of it. There the bound
is exact, by people: where one of n persons in the population has a clip that shows it with probability p, none of n
shows it with probability (1 − p)^n, which is 2.5 % at p = 1 − 0.025^(1/n) (Clopper & Pearson 1934).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
LEVEL = 0.95
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A measure, and where 95 % of its bootstrap's values are."""

    value: float
    low: float
    high: float

    def percent(self) -> str:
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"


def share(people: Sequence[str], which: NDArray[np.bool_], draws: int = DRAWS) -> Interval:
    """The share of clips that are so; `people` are whose each clip is."""
    if which.all() or not which.any():
        margin = 1 - ((1 - LEVEL) / 2) ** (1 / len(set(people)))
        return Interval(1.0, 1 - margin, 1.0) if which.all() else Interval(0.0, 0.0, margin)
    return by_person([people], lambda rows: float(which[rows].mean()), draws)


def by_person(
    people: Sequence[Sequence[str]],
    measure: Callable[..., float],
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Bootstrap a measure of one or several groups of clips over the people of each.

    Args:
        people: of each group, whose each clip is.
        measure: of one array of clip indices a group.
    """
    groups = []
    for names in people:
        array = np.asarray(names)
        groups.append([np.flatnonzero(array == name) for name in sorted(set(names))])
    return _drawn(groups, measure, draws, seed)


def by_unit(count: int, measure: Callable[[Rows], float], draws: int = DRAWS, seed: int = 0) -> Interval:
    """Bootstrap a measure of so many units that are independent by themselves: rounds of a run, recordings.

    Args:
        measure: of an array of their indices.
    """
    return _drawn([[np.array([index]) for index in range(count)]], measure, draws, seed)


def _drawn(
    groups: Sequence[Sequence[Rows]], measure: Callable[..., float], draws: int, seed: int
) -> Interval:
    rng = np.random.default_rng(seed)
    value = measure(*(np.concatenate(group) for group in groups))
    found = []
    for _ in range(draws):
        drawn = [
            np.concatenate([group[index] for index in rng.integers(len(group), size=len(group))])
            for group in groups
        ]
        found.append(measure(*drawn))
    edge = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(found, [edge, 100 - edge])
    return Interval(float(value), float(low), float(high))
