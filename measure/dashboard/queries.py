"""What a panel asks, once: as PromQL for Grafana, and computed from a recording for the picture.

Only as much of PromQL as the panels need; `tests/unit/measure/dashboard` has values worked out by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from measure.dashboard.recording import Labels, Recording, Values
from serving.metrics.catalogue import BY_NAME

INTERVAL = "$__rate_interval"  # Grafana's: four scrapes at least
WINDOW = 10.0  # s, in its place for a recording that was scraped every 2 s
Answer = dict[tuple[str, ...], Values]  # by the values of the labels that are asked by


class Query(Protocol):
    """PromQL, and its meaning."""

    @property
    def promql(self) -> str: ...

    def evaluate(self, recording: Recording) -> Answer: ...


@dataclass(frozen=True)
class Now:
    """A gauge's value, summed over the labels that are not asked by."""

    metric: str
    by: tuple[str, ...] = ()

    @property
    def promql(self) -> str:
        return f"sum{_by(self.by)} ({self.metric}{_matchers(self.metric, {})})"

    def evaluate(self, recording: Recording) -> Answer:
        return _summed(recording.named(self.metric), self.by, {})


@dataclass(frozen=True)
class Rate:
    """A counter's increase a second, summed over the labels that are not asked by.

    Attributes:
        unless: label → value that is left out.
    """

    metric: str
    by: tuple[str, ...] = ()
    unless: dict[str, str] = field(default_factory=dict)

    @property
    def promql(self) -> str:
        return f"sum{_by(self.by)} (rate({self.metric}{_matchers(self.metric, self.unless)}[{INTERVAL}]))"

    def evaluate(self, recording: Recording) -> Answer:
        rates = {
            labels: _rate(recording.times, values) for labels, values in recording.named(self.metric).items()
        }
        return _summed(rates, self.by, self.unless)


@dataclass(frozen=True)
class Ratio:
    """One query over another, label by label; nothing where the second is 0."""

    over: Query
    under: Query

    @property
    def promql(self) -> str:
        return f"{self.over.promql} / ({self.under.promql} > 0)"

    def evaluate(self, recording: Recording) -> Answer:
        over, under = self.over.evaluate(recording), self.under.evaluate(recording)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                key: np.where(under[key] > 0, over[key] / under[key], np.nan) for key in over if key in under
            }


@dataclass(frozen=True)
class Quantile:
    """A quantile of a histogram's observations, interpolated within a bucket."""

    quantile: float
    histogram: str
    by: tuple[str, ...] = ()

    @property
    def _buckets(self) -> Rate:
        return Rate(f"{self.histogram}_bucket", (*self.by, "le"))

    @property
    def promql(self) -> str:
        return f"histogram_quantile({self.quantile:g}, {self._buckets.promql})"

    def evaluate(self, recording: Recording) -> Answer:
        grouped: dict[tuple[str, ...], dict[float, Values]] = {}
        for (*key, bound), rates in self._buckets.evaluate(recording).items():
            grouped.setdefault(tuple(key), {})[float(bound)] = rates
        return {key: _quantile(self.quantile, buckets) for key, buckets in grouped.items()}


def mean(histogram: str, by: tuple[str, ...] = ()) -> Ratio:
    """The mean of a histogram's observations."""
    return Ratio(Rate(f"{histogram}_sum", by), Rate(f"{histogram}_count", by))


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _matchers(sample: str, unless: dict[str, str]) -> str:
    name = next(name for name in (sample, sample.rsplit("_", 1)[0]) if name in BY_NAME)
    model = ['model=~"$model"'] if "model" in BY_NAME[name].labels else []
    chosen = [*model, *(f'{label}!="{value}"' for label, value in unless.items())]
    return f"{{{','.join(chosen)}}}" if chosen else ""


def _summed(series: dict[Labels, Values], by: tuple[str, ...], unless: dict[str, str]) -> Answer:
    found: Answer = {}
    for labels, values in series.items():
        named = dict(labels)
        if any(named.get(label) == value for label, value in unless.items()):
            continue
        key = tuple(named.get(label, "") for label in by)
        former = found.get(key, np.full(len(values), np.nan))
        found[key] = np.where(np.isnan(former), values, former + np.nan_to_num(values))
    return found


def _rate(times: Values, values: Values) -> Values:
    """Increase a second over the window before each scrape; a counter that falls was reset to 0.

    Prometheus extrapolates to the window's ends; here first and last scrape within it are taken as they are.
    """
    steps = np.diff(values, prepend=np.nan)
    grown = np.where(steps < 0, values, steps)
    rates = np.full(len(values), np.nan)
    for place, moment in enumerate(times):
        within = (times >= moment - WINDOW) & (times <= moment) & ~np.isnan(values)
        places = np.flatnonzero(within)
        if len(places) > 1:
            inside = grown[places[1:]]
            rates[place] = inside.sum() / (times[places[-1]] - times[places[0]])
    return rates


def _quantile(quantile: float, buckets: dict[float, Values]) -> Values:
    bounds = sorted(buckets)
    cumulative = np.array([buckets[bound] for bound in bounds])  # (buckets, scrapes)
    total = cumulative[-1]
    found = np.full(len(total), np.nan)
    for place in np.flatnonzero(total > 0):
        column = cumulative[:, place]
        wanted = quantile * total[place]
        index = int(np.searchsorted(column, wanted))
        if index >= len(bounds) - 1:  # beyond the last bound: it is all that is known
            found[place] = bounds[-2]
            continue
        low, before = (bounds[index - 1], column[index - 1]) if index else (0.0, 0.0)
        inside = column[index] - before
        found[place] = low + (bounds[index] - low) * ((wanted - before) / inside if inside else 0.0)
    return found
