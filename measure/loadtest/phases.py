"""Two conditions by turns in one run: phases in which the same requests are sent at the same times.

A machine's noise comes and goes within seconds. Short phases by turns give both conditions the same of it, and each
phase is compared with the other of its round alone, whose requests are equal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from measure.loadtest import arrivals
from measure.loadtest.drive import Plan, Record, plan
from measure.loadtest.target import Clip, Target

GUARD_SECONDS = 1.5  # of a phase that do not count: what the former one left is still worked on
START_SECONDS = 8.0  # for load generators to start


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
