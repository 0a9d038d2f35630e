"""Records → rates, percentiles and how sure they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from measure.loadtest.drive import Record
from measure.loadtest.slo import Slo, name, ranks

LAG_LIMIT = 0.05  # s, of the 99th percentile: beyond it the generator, not the server, made the latencies


@dataclass(frozen=True)
class Summary:
    """One run without its warm-up.

    Attributes:
        requests: scheduled in the measured window.
        errors: how many of them failed, by code.
        offered, served: requests scheduled, and answered rightly, per second of the window.
        audio_rate: seconds of audio answered a second.
        latencies: seconds, ascending; a failed request counts as infinite, so that no refusal looks fast.
        lag: seconds by which the generator sent too late, except for the latest hundredth, or the latest one.
        seconds: length of the window.
    """

    requests: int
    errors: dict[str, int]
    offered: float
    served: float
    audio_rate: float
    latencies: tuple[float, ...]
    lag: float
    seconds: float

    @property
    def error_rate(self) -> float:
        return sum(self.errors.values()) / self.requests

    @property
    def p50(self) -> float:
        return self.percentile(0.5)

    @property
    def p95(self) -> float:
        return self.percentile(0.95)

    @property
    def p99(self) -> float:
        return self.percentile(0.99)

    @property
    def valid(self) -> bool:
        """Whether the generator kept up."""
        return self.lag <= LAG_LIMIT

    def percentile(self, quantile: float) -> float:
        """The least latency that at least this share of the requests stayed within."""
        return percentile(self.latencies, quantile)

    def interval(self, quantile: float) -> tuple[float, float]:
        """95 % confidence interval of a percentile; from 0 and to infinity where the run is too short to say."""
        low, high = ranks(quantile, self.requests)
        return (
            self.latencies[low - 1] if low >= 1 else 0.0,
            self.latencies[high - 1] if high <= self.requests else math.inf,
        )

    def breaches(self, slo: Slo) -> list[str]:
        """The bounds of the SLO that are not met, in words."""
        found = [
            f"{name(quantile)} is {seconds(self.percentile(quantile))}, above {bound:g} s"
            for quantile, bound in slo.latencies.items()
            if self.percentile(quantile) > bound
        ]
        if slo.errors is not None and self.error_rate > slo.errors:
            found.append(
                f"{100 * self.error_rate:.3g} % of the requests failed, above {100 * slo.errors:g} %"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """For report.json: seconds and shares; null is infinite."""
        return {
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "offered_per_second": round(self.offered, 3),
            "served_per_second": round(self.served, 3),
            "audio_seconds_per_second": round(self.audio_rate, 2),
            "errors": self.errors,
            "error_rate": round(self.error_rate, 6),
            **{name(quantile): finite(self.percentile(quantile)) for quantile in (0.5, 0.95, 0.99)},
            "p99_interval": [finite(end) for end in self.interval(0.99)],
            "generator_lag_p99": round(self.lag, 4),
            "valid": self.valid,
        }


def summary(records: Sequence[Record], warmup_seconds: float = 0.0, end: float | None = None) -> Summary:
    """Summarise the requests scheduled after the warm-up.

    Args:
        records: of one run.
        warmup_seconds: from the start, left out.
        end: of the run, in seconds from its start; the last scheduled moment if None.

    Raises:
        ValueError: nothing was scheduled after the warm-up.
    """
    measured = [record for record in records if record.scheduled >= warmup_seconds]
    if not measured:
        raise ValueError(f"no request was due after the {warmup_seconds:g} s of warm-up")
    end = max(record.scheduled for record in measured) if end is None else end
    window = max(end - warmup_seconds, 1e-9)
    # answers within the window, whenever they were scheduled: otherwise a server that falls behind would look on time
    answered = [it for it in records if it.error is None and warmup_seconds <= it.finished < end]
    return Summary(
        requests=len(measured),
        errors=dict(Counter(record.error for record in measured if record.error is not None)),
        offered=len(measured) / window,
        served=len(answered) / window,
        audio_rate=sum(record.audio_seconds for record in answered) / window,
        latencies=tuple(sorted(math.inf if record.error else record.latency for record in measured)),
        lag=_lag(measured),
        seconds=window,
    )


def _lag(records: Sequence[Record]) -> float:
    """The 99th percentile, of fewer than a hundred requests the second largest: one hiccup is no bottleneck."""
    ascending = sorted(record.lag for record in records)
    kept = len(ascending) - max(1, len(ascending) // 100)
    return ascending[max(0, kept - 1)]


def percentile(ascending: Sequence[float], quantile: float) -> float:
    """The ⌈q·n⌉-th of n values."""
    return ascending[max(0, math.ceil(quantile * len(ascending) - 1e-9) - 1)]


def seconds(value: float) -> str:
    """For people: 1.23 s, 45 ms, ∞."""
    if math.isinf(value):
        return "∞"
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"


def finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
