"""Two conditions by turns in one run: phases in which the same requests are sent at the same times, and what they show.

A machine's noise comes and goes within seconds. Short phases by turns give both conditions the same of it, and each
phase is compared with the other of its round alone, whose requests are equal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from measure.loadtest import arrivals
from measure.loadtest.drive import Plan, Record, plan
from measure.loadtest.summary import percentile
from measure.loadtest.target import Clip, Target

GUARD_SECONDS = 1.5  # of a phase that do not count: what the former one left is still worked on
START_SECONDS = 8.0  # for load generators to start
DRAWS = 2000
Latencies = Sequence[float]
Figures = TypeVar("Figures")  # of one phase


@dataclass(frozen=True)
class Phase:
    """When a condition holds, in seconds from the start."""

    condition: str
    round: int
    start: float
    seconds: float

    def counts(self, record: Record) -> bool:
        return self.start + GUARD_SECONDS <= record.scheduled < self.start + self.seconds


def by_turns(
    first: str, second: str, rounds: int, seconds: float, contrast: str = "", contrasts: int = 0
) -> list[Phase]:
    """Each round has both conditions once, and each is first as often as second.

    Args:
        first, second: the conditions.
        rounds: how many.
        seconds: of a phase.
        contrast: a third condition, which ends a round.
        contrasts: so many of the last rounds.
    """
    order = [
        (condition, number)
        for number in range(1, rounds + 1)
        for condition in (
            *((first, second) if number % 2 else (second, first)),
            *((contrast,) if number > rounds - contrasts else ()),
        )
    ]
    return [Phase(*each, place * seconds, seconds) for place, each in enumerate(order)]


def length(order: Sequence[Phase]) -> float:
    """Seconds of all phases."""
    return order[-1].start + order[-1].seconds


def requests(
    clips: Sequence[Clip], targets: Sequence[Target], rate: float, order: Sequence[Phase], begin: float
) -> Plan:
    """Independent arrivals (Poisson), the same in all phases of a round.

    Args:
        clips: in random order.
        targets: each request takes one at random.
        rate: requests a second.
        order: the phases.
        begin: of time.monotonic().
    """
    shots = []
    for phase in order:
        moments = arrivals.times("poisson", rate, phase.seconds, phase.round)
        made = plan(clips, targets, moments, phase.seconds, phase.round)
        shots += [dataclasses.replace(shot, time=phase.start + shot.time) for shot in made.shots]
    return Plan(tuple(shots), length(order), begin=begin)


def pooled(phases: Iterable[Latencies], share: float) -> float:
    """A percentile of the latencies of all of these phases."""
    return percentile(sorted(each for latencies in phases for each in latencies), share)


def ratio(ours: Sequence[Latencies], first: Sequence[Latencies], share: float) -> tuple[float, float, float]:
    """Of the pooled percentiles, with an interval of 95 %."""
    return interval(ours, first, lambda latencies: pooled(latencies, share))


def interval(
    ours: Sequence[Figures], first: Sequence[Figures], figure: Callable[[Sequence[Figures]], float]
) -> tuple[float, float, float]:
    """The ratio of a figure of all of ours by that of the first, with an interval of 95 %: rounds are drawn again, each
    with both its phases."""
    pairs, rng = list(zip(ours, first, strict=True)), np.random.default_rng(0)

    def by(chosen: Sequence[tuple[Figures, Figures]]) -> float:
        return figure([one for one, _ in chosen]) / figure([other for _, other in chosen])

    drawn = [by([pairs[index] for index in rng.integers(len(pairs), size=len(pairs))]) for _ in range(DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return by(pairs), float(low), float(high)


def shown(found: tuple[float, float, float]) -> str:
    """A ratio with its interval."""
    value, low, high = found
    return f"{value:.2f} ({low:.2f}–{high:.2f})"


def verdict(found: tuple[float, float, float], most: float) -> str:
    """Whether the interval shows that a ratio is at most this, or that it is more, or neither."""
    _, low, high = found
    return "yes" if high <= most else "no" if low > most else "not told"
