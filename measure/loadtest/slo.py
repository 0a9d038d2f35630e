"""A service level objective: `p99=2s,errors=0.1%`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from measure.loadtest import LoadTestError

CONFIDENCE = 0.95  # of every interval here
UNITS = {"s": 1.0, "ms": 0.001}
FORM = 'write it as SLO="p99=2s,errors=0.1%"'


@dataclass(frozen=True)
class Slo:
    """Bounds that must all hold.

    Attributes:
        latencies: by quantile (0.99), seconds from the scheduled arrival.
        errors: largest share of requests that fail, or None: a failed request counts as infinitely late anyway.
    """

    latencies: dict[float, float]
    errors: float | None = None

    def __str__(self) -> str:
        parts = [f"{name(quantile)}={seconds:g}s" for quantile, seconds in self.latencies.items()]
        return ",".join(parts + ([f"errors={100 * self.errors:g}%"] if self.errors is not None else []))


def parse(text: str) -> Slo:
    """Raises LoadTestError with the part that cannot be read."""
    latencies: dict[float, float] = {}
    errors: float | None = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        latency = re.fullmatch(r"p(\d\d?(?:\.\d+)?)=(\d+(?:\.\d+)?)(ms|s)", part)
        share = re.fullmatch(r"errors=(\d+(?:\.\d+)?)%", part)
        if latency and float(latency[1]) > 0 and float(latency[2]) > 0:
            latencies[round(float(latency[1]) / 100, 6)] = float(latency[2]) * UNITS[latency[3]]
        elif share and float(share[1]) <= 100:
            errors = float(share[1]) / 100
        else:
            raise LoadTestError(f"SLO has {part!r}, which is no bound: {FORM}")
    if not latencies and errors is None:
        raise LoadTestError(f"SLO={text!r} bounds nothing: {FORM}")
    return Slo(latencies, errors)


def name(quantile: float) -> str:
    """0.99 → p99."""
    return f"p{100 * quantile:g}"


def requests_for(quantile: float) -> int:
    """How many requests a quantile's interval needs to have both ends: the least n with 1 - qⁿ ≥ 0.975.

    With fewer, not even the slowest of them bounds the quantile from above: 368 for p99, 72 for p95.
    """
    tail = (1 - CONFIDENCE) / 2
    return math.ceil(math.log(tail) / math.log(quantile))


def ranks(quantile: float, count: int) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics that enclose a quantile of `count` values with 95 % confidence.

    Exact for independent values, whatever their distribution: the number of values below the quantile is binomial
    (Conover, Practical Nonparametric Statistics, 3.2). Latencies of neighbours under load depend on each other,
    which makes the true interval wider. Rank 0 means no lower end, count + 1 no upper one.
    """
    tail = (1 - CONFIDENCE) / 2
    return binomial(tail, count, quantile), binomial(1 - tail, count, quantile) + 1


def binomial(share: float, count: int, chance: float) -> int:
    """The least k with P(B ≤ k) ≥ share, for B binomial: scipy.stats.binom.ppf, which takes a second to import."""
    from scipy.special import bdtr, bdtrik  # here, not above: most of what reads an SLO asks for no interval

    k = math.ceil(bdtrik(share, count, chance))
    return int(k - 1 if k > 0 and bdtr(k - 1, count, chance) >= share else k)
