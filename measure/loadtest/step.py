"""One rate measured: warm-up, then long enough for what the SLO asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from measure.loadtest import LoadTestError, arrivals
from measure.loadtest.capacity import PRECISION
from measure.loadtest.clips import Clip
from measure.loadtest.drive import Record, drive, plan
from measure.loadtest.slo import Slo, ranks, requests_for
from measure.loadtest.summary import Summary, summary
from measure.loadtest.target import Target

WARMUP_SECONDS = 3.0  # at least; and twice the latency that the SLO allows, for the queue to settle
BURST = 32  # requests at once: four of the default batches


def measured_seconds(slo: Slo, rate: float, precision: float = PRECISION) -> float:
    """How long a step at a rate is measured.

    Long enough for as many requests as the percentile's interval needs, and for a queue to become visible: at a rate
    that is too high by the share p, it grows by p seconds a second, and takes bound / p seconds to reach the bound. A
    shorter step would pass rates that the server cannot sustain.
    """
    requests = max((requests_for(quantile) for quantile in slo.latencies), default=requests_for(0.95))
    return max(requests / rate, max(slo.latencies.values(), default=1.0) / precision)


def warmup_seconds(slo: Slo) -> float:
    return max(WARMUP_SECONDS, 2 * max(slo.latencies.values(), default=0.0))


class Settled:
    """Whether a step has failed for certain: so many requests are late that the percentile's whole interval is beyond
    its bound, whatever the remaining answers are."""

    def __init__(self, slo: Slo, count: int, warmup: float) -> None:
        self._warmup = warmup
        self._allowed = {bound: count - ranks(q, count)[0] for q, bound in slo.latencies.items()}
        self._late = dict.fromkeys(self._allowed, 0)

    def add(self, record: Record) -> None:
        if record.scheduled >= self._warmup:
            for bound in self._late:
                self._late[bound] += record.error is not None or record.latency > bound

    def __call__(self) -> bool:
        return any(late > self._allowed[bound] for bound, late in self._late.items())


def measure(
    clips: Sequence[Clip],
    targets: Sequence[Target],
    slo: Slo,
    rate: float,
    seed: int,
    *,
    shape: str = "poisson",
    precision: float = PRECISION,
    progress: Callable[[Record], None] = lambda _: None,
) -> Summary:
    """One step of a capacity search, stopped early once it is certain to fail."""
    warmup = warmup_seconds(slo)
    seconds = warmup + measured_seconds(slo, rate, precision)
    moments = arrivals.times(shape, rate, seconds, seed)
    settled = Settled(slo, sum(moment >= warmup for moment in moments), warmup)

    def watch(record: Record) -> None:
        settled.add(record)
        progress(record)

    records = drive(plan(clips, targets, moments, seconds, seed), watch, settled)
    return summary(records, warmup, None if settled() else seconds)


def estimate(clips: Sequence[Clip], targets: Sequence[Target], seed: int) -> float:
    """Requests a second of a server that always has a queue: a burst, after one to warm up.

    Raises:
        LoadTestError: nothing was answered.
    """
    for size in (BURST // 4, BURST):
        records = drive(plan(clips, targets, [0.0] * size, 0.0, seed))
        answered = [record.finished for record in records if record.error is None]
        if not answered:
            codes = ", ".join(sorted({str(record.error) for record in records}))
            raise LoadTestError(f"{targets[0].url} answered none of {size} requests: {codes}")
    return len(answered) / max(answered)
