"""A day: the profile's traffic, a fleet that serves it, and an autoscaler that reads the fleet's metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from measure.autoscale import queueing, traffic
from measure.autoscale.fleet import SCRAPE_SECONDS, Fleet, Start, State
from measure.autoscale.hpa import SYNC_SECONDS, Controller, Hpa, Reading
from measure.autoscale.keda import Operator, ScaledObject
from measure.autoscale.queueing import Done
from measure.autoscale.service import Service
from measure.autoscale.traffic import MINUTE, Floats

TICK_SECONDS = 5.0
SYNC_OFFSET = 10.0  # s from the scrape to the autoscaler's sync: a part of the metrics' lag
# latencies are counted in bins that are 2 % wide, from 1 ms to 26 minutes
SHORTEST, GROWTH, BINS = 0.001, 1.02, 720
ROOM = 3.0  # times the expected arrivals of a tick, for which there is a buffer
SPARE = 1000


@dataclass(frozen=True)
class Trial:
    """One day to simulate.

    Attributes:
        size: replicas that the busiest minute would fill to their capacity.
        capacity: requests a second of one replica at the SLO.
        rules: an HPA, or KEDA's.
        service: what a replica does.
        profile: relative rate of each minute; the largest is 1.
        start: what a new replica waits for.
        seed: of arrivals, clips, routing and the batches' noise.
        least_request: send to the one of two random replicas that holds fewer (Envoy's LEAST_REQUEST); else to a
            random one, as kube-proxy does with connections.
    """

    size: int
    capacity: float
    rules: Hpa | ScaledObject
    service: Service
    profile: Floats
    start: Start
    seed: int = 0
    least_request: bool = False

    @property
    def peak(self) -> float:
        """Requests a second of the busiest minute."""
        return self.size * self.capacity


@dataclass(frozen=True)
class Day:
    """What a trial gave, by minute.

    Attributes:
        rate: requests a second, as the profile has them.
        paid, ready: replicas that hold resources, and those of them that serve; means of the minute.
        waiting: requests in all queues, the minute's most.
        p50, p99: seconds, of the requests that arrived in the minute; what was not answered is infinitely late.
        answered, refused, unserved: requests; refused by a full queue, unserved because no replica was ready.
        left: requests that the end of the day found unanswered.
    """

    rate: Floats
    paid: Floats
    ready: Floats
    waiting: Floats
    p50: Floats
    p99: Floats
    answered: npt.NDArray[np.int64]
    refused: npt.NDArray[np.int64]
    unserved: npt.NDArray[np.int64]
    left: int

    @property
    def replica_hours(self) -> float:
        return float(self.paid.sum() / 60)

    @property
    def requests(self) -> int:
        return int((self.answered + self.refused + self.unserved).sum()) + self.left

    @property
    def failed(self) -> int:
        return int((self.refused + self.unserved).sum())

    def share_within(self, bound: float) -> float:
        """Share of the minutes whose p99 is within the bound."""
        return float((self.p99 <= bound).mean())


def simulate(trial: Trial, scaler: Controller | Operator, first: int) -> Day:
    """One day.

    Args:
        scaler: a new one, of the trial's rules.
        first: replicas that are ready at midnight.
    """
    service, profile, peak = trial.service, trial.profile, trial.peak
    rng = np.random.default_rng(trial.seed)
    keda = scaler if isinstance(scaler, Operator) else None
    spec = scaler.spec.hpa if isinstance(scaler, Operator) else scaler.spec
    fleet = Fleet(service, 2 * spec.most, trial.start, rng)
    fleet.scale(first, 0.0, warm=True)
    minutes = len(profile)
    done = queueing.buffer(2 * spec.most * service.queue + int(ROOM * peak * TICK_SECONDS) + SPARE)
    counts = np.zeros((minutes, BINS), np.int64)
    refused, unserved = np.zeros(minutes, np.int64), np.zeros(minutes, np.int64)
    paid, ready, waiting = np.zeros((3, minutes))
    sent = 0.0
    ticks = int(MINUTE / TICK_SECONDS)
    for tick in range(minutes * ticks):
        now, minute = tick * TICK_SECONDS, tick // ticks
        queueing.settle(fleet.queues, service.timing, done, _due(fleet, now), now)
        fleet.advance(now)
        if now % SCRAPE_SECONDS == 0:
            fleet.scrape(now, sent / SCRAPE_SECONDS)
            sent = 0.0
        if keda and now % keda.spec.polling < TICK_SECONDS:
            totals = {name: float(it.values.sum()) for name, it in readings(fleet, spec).items()}
            fleet.scale(keda.polled(now, fleet.replicas, totals), now)
        if now % SYNC_SECONDS == SYNC_OFFSET and fleet.replicas:
            fleet.scale(scaler.desired(now, fleet.replicas, len(fleet.ready), readings(fleet, spec)), now)
        times, audio = traffic.arrivals(rng, profile[minute] * peak, now, now + TICK_SECONDS)
        sent += len(times)
        if len(serving := fleet.ready):
            picks = serving[rng.integers(len(serving), size=(2 if trial.least_request else 1, len(times)))]
            noise = service.draw(rng, len(times))
            second = picks[-1] if trial.least_request else picks[0, :0]
            queueing.offer(fleet.queues, service.timing, done, times, audio, noise, picks[0], second)
        else:
            unserved[minute] += len(times)
        paid[minute] += fleet.paid / ticks
        ready[minute] += len(serving) / ticks
        waiting[minute] = max(waiting[minute], fleet.waiting)
        tally(counts, refused, done)
    answered = counts.sum(axis=1)
    lost = refused + unserved
    p50, p99 = (percentiles(counts, lost, quantile) for quantile in (0.5, 0.99))
    return Day(profile * peak, paid, ready, waiting, p50, p99, answered, refused, unserved, fleet.waiting)


def _due(fleet: Fleet, now: float) -> npt.NDArray[np.int64]:
    """Replicas that must be settled by now: all before a scrape, else those that might be drained."""
    if now % SCRAPE_SECONDS == 0:
        return np.flatnonzero(fleet.state != State.NONE)
    return np.flatnonzero(fleet.state == State.DRAINING)


def readings(fleet: Fleet, spec: Hpa) -> dict[str, Reading]:
    """The answers of the metrics' APIs, by signal."""
    return {it.signal: found for it in spec.metrics if (found := fleet.reading(it))}


@njit(cache=True)
def tally(counts: npt.NDArray[np.int64], refused: npt.NDArray[np.int64], done: Done) -> None:
    """Count the buffer's answers by minute of arrival and latency, and empty it."""
    for index in range(done.number[0]):
        place = int(math.log(done.latency[index] / SHORTEST) / math.log(GROWTH))
        counts[int(done.arrival[index] / MINUTE), min(max(place, 0), BINS - 1)] += 1
    for index in range(done.number[1]):
        refused[int(done.refused[index] / MINUTE)] += 1
    done.number[:] = 0


def percentiles(counts: npt.NDArray[np.int64], lost: npt.NDArray[np.int64], quantile: float) -> Floats:
    """(minutes,) seconds: the upper edge of the bin that the ⌈q·n⌉-th is in; 0 of a minute without requests."""
    total = counts.sum(axis=1) + lost
    rank = np.ceil(quantile * total - 1e-9)
    below = counts.cumsum(axis=1)
    place = (below < rank[:, None]).sum(axis=1)
    edges: Floats = SHORTEST * GROWTH ** (place + 1.0)
    edges[place == BINS] = np.inf
    edges[total == 0] = 0.0
    return edges
