"""Open arrivals at one rate, and the highest rate at which they still meet the bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from measure.compare.work import Reference
from measure.loadtest import arrivals, drive
from measure.loadtest.clips import Clip
from measure.loadtest.summary import Summary, summary
from measure.loadtest.target import Target

PATIENCE = 3.0  # times the bound, after which a request has failed
FEWEST = 20  # expected requests of a step
LADDER = (0.85, 0.7, 0.55, 0.4, 0.25)  # of a server's own saturation, downwards until the bound holds
ABOVE = 0.95  # tried where the first of the ladder holds


class Tried(Protocol):
    """A rate, in requests a second, and whether it met the bound."""

    @property
    def rate(self) -> float: ...
    @property
    def met(self) -> bool: ...


Step = TypeVar("Step", bound=Tried)


@dataclass(frozen=True)
class RateStep:
    """One rate for some time.

    Attributes:
        rate: requests a second that were asked for.
        summary: rates and percentiles; a failed request is infinitely late.
        changed: answers whose best label is not the one of the clip alone.
        met: whether the 99th percentile stayed within the bound.
        whole: whether all of it was sent; a step that can no longer meet the bound is cut short.
    """

    rate: float
    summary: Summary
    changed: int
    met: bool
    whole: bool


@dataclass(frozen=True)
class RateLoad:
    """What every step shares: the clips, their right answers, the bound, the length and the seed of the arrivals."""

    clips: Sequence[Clip]
    reference: Reference
    bound: float  # s, of the 99th percentile
    seconds: float  # of a step, at least
    seed: int = 0

    def lasting(self, rate: float) -> float:
        """Seconds of a step: long enough for some requests even of the slowest."""
        return max(self.seconds, FEWEST / rate)

    def step(self, target: Target, rate: float, cut_short: bool) -> RateStep:
        """Equal seeds give equal arrivals and clips, so that every server gets the same load at a rate."""
        seconds = self.lasting(rate)
        moments = arrivals.times("poisson", rate, seconds, self.seed)
        target = Target(target.url, target.form, target.headers, timeout=PATIENCE * self.bound)
        plan = drive.plan(self.clips, [target], moments, seconds, self.seed)
        late = 0

        def watch(record: drive.Record) -> None:
            nonlocal late
            late += record.error is not None or record.latency > self.bound

        records = drive.drive(plan, watch, lambda: cut_short and late > 0.01 * len(moments))
        found = summary(records, 0.0, seconds)
        changed = sum(it.label is not None and it.label != self.reference[it.clip].label for it in records)
        return RateStep(rate, found, changed, found.p99 <= self.bound, len(records) == len(moments))


def capacity(run: Callable[[float], Step], saturation: float) -> list[Step]:
    """Go down the ladder until a rate meets the bound, and up once if the first does; gives the steps in order.

    Args:
        run: measures one rate, in requests a second.
        saturation: the server's own, in requests a second.
    """
    steps: list[Step] = []
    for fraction in LADDER:
        steps.append(run(fraction * saturation))
        if steps[-1].met:
            break
    if len(steps) == 1:
        steps.append(run(ABOVE * saturation))
    return steps


def held(steps: Sequence[Tried]) -> float | None:
    """The highest rate that met the bound; None if none did."""
    return max((step.rate for step in steps if step.met), default=None)


def broken(steps: Sequence[Tried]) -> float | None:
    """The lowest rate that did not; None if none failed."""
    return min((step.rate for step in steps if not step.met), default=None)
