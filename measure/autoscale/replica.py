"""One replica under given arrivals, as a load test would have recorded it; and its capacity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from measure.autoscale import queueing, traffic
from measure.autoscale.service import Service
from measure.loadtest import arrivals
from measure.loadtest.capacity import Capacity, search
from measure.loadtest.clips import Clip
from measure.loadtest.drive import Record, plan
from measure.loadtest.slo import Slo
from measure.loadtest.step import measured_seconds, warmup_seconds
from measure.loadtest.summary import Summary, summary
from measure.loadtest.target import Target

Floats = npt.NDArray[np.float64]

REQUESTS = 20_000  # of one rate in the search for a replica's capacity
LEAD_SECONDS = 60.0  # until the queue is what it will be
PRECISION, MOST_STEPS = 0.02, 30


def work_off(
    service: Service, times: Sequence[float] | Floats, audio: Sequence[float] | Floats, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Moments of arrival and latencies of what was answered, and moments of arrival of what was refused, in seconds.

    Args:
        times: seconds, ascending.
        audio: seconds of audio of each.
        seed: of the batches' noise.
    """
    moments, lengths = np.asarray(times, np.float64), np.asarray(audio, np.float64)
    state = queueing.queues(1, service.queue, service.workers)
    done = queueing.buffer(len(moments))
    first = np.zeros(len(moments), np.int64)
    noise = service.draw(np.random.default_rng(seed), len(moments))
    queueing.offer(state, service.timing, done, moments, lengths, noise, first, first[:0])
    queueing.settle(state, service.timing, done, first[:1], np.inf)
    answered, refused = done.number
    return done.arrival[:answered], done.latency[:answered], done.refused[:refused]


def replay(
    service: Service, times: Sequence[float] | Floats, audio: Sequence[float] | Floats, seed: int
) -> list[Record]:
    """`work_off` as a load test's records, in order of arrival."""
    arrived, latencies, refused = work_off(service, times, audio, seed)
    found = [record(start, end, None) for start, end in zip(arrived, arrived + latencies, strict=True)]
    found += [record(moment, moment, "overloaded") for moment in refused]
    return sorted(found, key=lambda it: it.scheduled)


def record(scheduled: float, finished: float, error: str | None) -> Record:
    status = 200 if error is None else 429
    return Record(scheduled, scheduled, finished, status, "", 0.0, "", error=error)


def step(service: Service, clips: Sequence[Clip], slo: Slo, rate: float, seed: int) -> Summary:
    """`measure.loadtest.step.measure` with the simulated replica in the server's place: same times, same clips."""
    warmup = warmup_seconds(slo)
    seconds = warmup + measured_seconds(slo, rate)
    planned = plan(clips, [Target("")], arrivals.times("poisson", rate, seconds, seed), seconds, seed)
    times = [shot.time for shot in planned.shots]
    records = replay(service, times, [shot.clip.seconds for shot in planned.shots], seed)
    return summary(records, warmup, seconds)


def saturation(service: Service, mean: float) -> float:
    """Requests a second of a replica whose queue never empties, of clips of `mean` seconds."""
    full = service.fixed + service.batch * (service.per_request + service.per_second * mean)
    return service.batch * service.workers / full


def capacity(service: Service, slo: Slo, seed: int = 0) -> Capacity:
    """The highest rate of the day's clips at which one replica holds the SLO, by long simulated steps."""

    def run(rate: float) -> Summary:
        rng = np.random.default_rng(seed)
        end = REQUESTS / rate
        return summary(
            replay(service, *traffic.arrivals(rng, rate, 0.0, end), seed), min(LEAD_SECONDS, end / 2), end
        )

    most = saturation(service, float(traffic.lengths().mean()))
    return search(run, slo, most / 2, most, precision=PRECISION, most_steps=MOST_STEPS)
