"""The highest rate that meets an SLO: bracketed, then bisected, then measured once more."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from measure.loadtest import LoadTestError
from measure.loadtest.slo import Slo
from measure.loadtest.summary import LAG_LIMIT, Summary

PRECISION = 0.05  # the search ends when the rate that fails is at most this much above the one that passes
MOST_STEPS = 8  # low, high, four to halve a factor of two to 5 %, the repetition, and one to spare
WIDER = 1.5  # factor by which the bracket moves up when its upper rate passes


@dataclass(frozen=True)
class Step:
    """One rate, measured. `breaches` are the bounds of the SLO that were not met, in words."""

    rate: float
    summary: Summary
    breaches: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.breaches

    def surely_within(self, slo: Slo) -> bool:
        """Whether the SLO is met at the upper ends of the 95 % intervals too."""
        return self.passed and all(self.summary.interval(q)[1] <= bound for q, bound in slo.latencies.items())

    def surely_beyond(self, slo: Slo) -> bool:
        """Whether a percentile is above its bound at the lower end of its 95 % interval too."""
        return any(self.summary.interval(q)[0] > bound for q, bound in slo.latencies.items())

    def surely_the_server(self, slo: Slo) -> bool:
        """Whether it fails even without the generator's lag: a saturated server delays the generator too."""
        return any(
            self.summary.percentile(q) - self.summary.lag > bound for q, bound in slo.latencies.items()
        )


@dataclass(frozen=True)
class Capacity:
    """What a search found.

    Attributes:
        rate: requests a second: the highest that passed with none failing below it.
        low: the highest rate up to it that passes with 95 % confidence; None if none does.
        high: the lowest rate above it that fails with 95 % confidence; None if none does.
        repeated: whether the rate passed twice, or lies within the precision of one that failed a repetition.
        steps: in the order measured.
    """

    slo: Slo
    rate: float
    low: float | None
    high: float | None
    repeated: bool
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "slo": str(self.slo),
            "capacity_per_second": round(self.rate, 3),
            "surely_within_per_second": None if self.low is None else round(self.low, 3),
            "surely_beyond_per_second": None if self.high is None else round(self.high, 3),
            "repeated": self.repeated,
            "steps": [
                {"rate": round(step.rate, 3), "passed": step.passed, "breaches": step.breaches}
                | step.summary.to_json()
                for step in self.steps
            ],
        }


def search(
    run: Callable[[float], Summary],
    slo: Slo,
    low: float,
    high: float,
    *,
    precision: float = PRECISION,
    most_steps: int = MOST_STEPS,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Capacity:
    """Find the capacity between rates that are expected to pass and to fail; they are measured first.

    Args:
        run: measures one rate (requests a second), its warm-up excluded, long enough for the SLO's percentiles.
        slo: the SLO that must be met.
        low, high: the first bracket, in requests a second. Where it is wrong it moves: down by halves, up by 1.5.
        precision: largest relative distance between the capacity and a rate that fails.
        most_steps: bounds the time. When they are used up, the bracket so far is the result.
        on_step: called with each step as it is measured.

    Raises:
        LoadTestError: not even the lowest rate tried passes, or a step failed because of the generator.
    """
    steps: list[Step] = []

    def passes(rate: float) -> bool:
        measured = run(rate)
        step = Step(rate, measured, tuple(measured.breaches(slo)))
        # a step that passes is valid: lag counts as latency, so a punctual generator would have measured less
        if not (step.passed or measured.valid or step.surely_the_server(slo)):
            raise LoadTestError(
                f"at {rate:.3g} requests/s the load generator itself was late by {1000 * measured.lag:.0f} ms "
                f"(p99; {1000 * LAG_LIMIT:.0f} ms is allowed): give it a processor of its own, or another machine"
            )
        steps.append(step)
        on_step(step)
        return step.passed

    def more() -> bool:
        return len(steps) < most_steps

    holds = passes(low)
    while not holds and more():
        low, high = low / 2, low
        holds = passes(low)
    if not holds:
        raise LoadTestError(f"even {low:.3g} requests/s miss the SLO: {'; '.join(steps[-1].breaches)}")
    if all(step.passed for step in steps):
        while more() and passes(high):
            low, high = high, high * WIDER
    while high / low > 1 + precision and more():
        middle = math.sqrt(low * high)
        low, high = (middle, high) if passes(middle) else (low, middle)
    repeated = False
    while not repeated and more():
        repeated = passes(low)
        if not repeated:
            low, high = low / (1 + precision), low
    return _capacity(slo, steps, repeated)


def _capacity(slo: Slo, steps: list[Step], repeated: bool) -> Capacity:
    least_failure = min((step.rate for step in steps if not step.passed), default=math.inf)
    passed = [step.rate for step in steps if step.passed and step.rate < least_failure]
    if not passed:
        raise LoadTestError(
            f"no rate passed with none failing below it: {least_failure:.3g} requests/s failed"
        )
    rate = max(passed)
    within = [step.rate for step in steps if step.rate <= rate and step.surely_within(slo)]
    beyond = [step.rate for step in steps if step.rate > rate and step.surely_beyond(slo)]
    return Capacity(slo, rate, max(within, default=None), min(beyond, default=None), repeated, tuple(steps))
