"""Send times, drawn before the run, so that no answer can delay the next request (an open model)."""

from __future__ import annotations

import math

import numpy as np

from measure.loadtest import LoadTestError

SHAPES = ("poisson", "constant", "step", "spike")
STEP_FACTOR, SPIKE_FACTOR = 2, 4  # times the rate: from half-time on; for the middle tenth
MOST_ARRIVALS = 100_000  # of one run, each of which is kept in memory


def times(shape: str, rate: float, seconds: float, seed: int) -> list[float]:
    """Send times in seconds from the start, ascending.

    Args:
        shape: `poisson` (independent callers, as many as the rate says), `constant` (every 1/rate s), `step`
            (poisson, twice the rate in the second half), `spike` (poisson, four times the rate in the middle tenth).
        rate: arrivals a second; of step and spike, before the change.
        seconds: length of the run.
        seed: equal seeds give equal times.

    Raises:
        LoadTestError: a value is out of its limits; names them.
    """
    if shape not in SHAPES:
        raise LoadTestError(f"SHAPE={shape} is unknown: take one of {', '.join(SHAPES)}")
    if not (math.isfinite(rate) and rate > 0 and math.isfinite(seconds) and seconds > 0):
        raise LoadTestError(f"RATE={rate:g} for {seconds:g} s: both must be more than 0")
    expected = sum((end - start) * speed for start, end, speed in segments(shape, rate, seconds))
    if expected < 1:
        raise LoadTestError(
            f"RATE={rate:g} for {seconds:g} s is {expected:.2g} requests: ask for one at least, "
            f"by RATE={1 / seconds:.3g} or DURATION={math.ceil(1 / rate)}"
        )
    if expected > MOST_ARRIVALS:
        raise LoadTestError(
            f"RATE={rate:g} for {seconds:g} s is {expected:.0f} requests, and a run has {MOST_ARRIVALS} at most: "
            "lower RATE or DURATION"
        )
    if shape == "constant":
        return [index / rate for index in range(math.ceil(rate * seconds - 1e-9))]
    rng = np.random.default_rng(seed)
    arrivals: list[float] = []
    for start, end, speed in segments(shape, rate, seconds):
        # a Poisson process whose number of arrivals is known: they are independent and uniform (Ross, Introduction to
        # Probability Models, 5.3.5). The number is the expected one, so that every run offers the rate it says.
        arrivals += sorted(rng.uniform(start, end, max(1, round(speed * (end - start)))).tolist())
    return arrivals


def segments(shape: str, rate: float, seconds: float) -> list[tuple[float, float, float]]:
    """Intervals of one rate: start and end in seconds, arrivals a second."""
    if shape == "step":
        return [(0.0, seconds / 2, rate), (seconds / 2, seconds, STEP_FACTOR * rate)]
    if shape == "spike":
        begin, end = 0.45 * seconds, 0.55 * seconds
        return [(0.0, begin, rate), (begin, end, SPIKE_FACTOR * rate), (end, seconds, rate)]
    return [(0.0, seconds, rate)]
