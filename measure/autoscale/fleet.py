"""Replicas from their creation until they are drained, and what Prometheus has scraped of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from measure.autoscale import queueing
from measure.autoscale.hpa import Kind, Metric, Reading
from measure.autoscale.queueing import Queues
from measure.autoscale.service import Service

SCRAPE_SECONDS = 15.0  # of Prometheus, and metrics-server's resolution
RATE_SECONDS = 60.0  # over which rate() looks back
QUEUE, BUSY, CPU, CUMULATIVE, REQUESTS = "queue", "busy", "cpu", "cumulative", "requests"
SIGNALS = {
    QUEUE: "requests waiting",
    BUSY: "inference seconds a second",
    CPU: "processor use by request",
    CUMULATIVE: "TorchServe's ts_queue_latency_microseconds, unrated",
    REQUESTS: "requests a second that callers sent, whether they were answered or not",
}


class State(IntEnum):
    """In the order of a replica's life."""

    NONE, PENDING, LOADING, READY, DRAINING = range(5)


@dataclass(frozen=True)
class Start:
    """Seconds between a replica's creation and its first request. `node` and `image` depend on the cluster."""

    node: float = 0.0  # until a node has room: 0 where one is kept warm, minutes where one must be bought
    image: float = 20.0  # until the image is pulled and the container runs
    load: float = 10.0  # until the server answers that it is ready: measured
    probe: float = 5.0  # periodSeconds of the readiness probe, of which a part passes until it asks


class Fleet:
    """All replicas of one Deployment, in slots that are used again.

    Args:
        service: what each of them is.
        most: replicas that can be there at once, those that still drain included.
    """

    def __init__(self, service: Service, most: int, start: Start, rng: np.random.Generator) -> None:
        self.service, self.start, self._rng = service, start, rng
        self.queues: Queues = queueing.queues(most, service.queue, service.workers)
        self.state = np.zeros(most, np.int64)
        self._created = np.zeros(most)
        self._runs_at = np.zeros(most)
        self._ready_at = np.zeros(most)
        self._scrapes: deque[tuple[float, dict[str, npt.NDArray[np.float64]]]] = deque()

    @property
    def replicas(self) -> int:
        """spec.replicas: all except those that drain."""
        return int(np.count_nonzero((self.state > State.NONE) & (self.state < State.DRAINING)))

    @property
    def paid(self) -> int:
        """All that hold their resources."""
        return int(np.count_nonzero(self.state))

    @property
    def ready(self) -> npt.NDArray[np.int64]:
        """Slots that requests are sent to."""
        return np.flatnonzero(self.state == State.READY)

    @property
    def waiting(self) -> int:
        return int(self.queues.waiting.sum())

    def count(self, state: State) -> int:
        return int(np.count_nonzero(self.state == state))

    def scale(self, wanted: int, now: float, *, warm: bool = False) -> None:
        """Create replicas, or take some away: those not ready first, then the youngest, as a ReplicaSet does.

        Args:
            warm: they are ready at once, as at a simulation's beginning.
        """
        more = wanted - self.replicas
        if more > 0:
            slots = np.flatnonzero(self.state == State.NONE)[:more]
            assert len(slots) == more, "the fleet has too few slots"
            self._created[slots] = now
            self._runs_at[slots] = now + self.start.node + self.start.image
            delays = self.start.load + self._rng.uniform(0.0, self.start.probe, more)
            self._ready_at[slots] = self._runs_at[slots] + delays
            self.state[slots] = State.READY if warm else State.PENDING
            for array in self.queues:
                array[slots] = 0
        elif more < 0:
            living = np.flatnonzero((self.state > State.NONE) & (self.state < State.DRAINING))
            order = np.lexsort((-self._created[living], self.state[living]))
            removed = living[order][:-more]
            self.state[removed] = np.where(self.state[removed] == State.READY, State.DRAINING, State.NONE)

    def advance(self, now: float) -> None:
        """What time alone changes: containers start, servers become ready, drained ones end."""
        if self.paid == self.count(State.READY):
            return
        self.state[(self.state == State.PENDING) & (self._runs_at <= now)] = State.LOADING
        self.state[(self.state == State.LOADING) & (self._ready_at <= now)] = State.READY
        drained = (self.queues.waiting == 0) & (self.queues.free.max(axis=1) <= now)
        self.state[(self.state == State.DRAINING) & drained] = State.NONE

    def scrape(self, now: float, rate: float) -> None:
        """Record every ready replica's metrics, and the rate at which callers send."""
        ready = self.state == State.READY
        self._scrapes.append(
            (
                now,
                {
                    "created": np.where(ready, self._created, np.nan),
                    QUEUE: self.queues.waiting.astype(np.float64),
                    BUSY: queueing.finished_seconds(self.queues, now),
                    CPU: queueing.busy_seconds(self.queues, now),
                    CUMULATIVE: 1e6 * self.queues.waited,
                    REQUESTS: np.array([rate]),
                },
            )
        )
        while self._scrapes[0][0] < now - RATE_SECONDS:
            self._scrapes.popleft()

    def reading(self, metric: Metric) -> Reading | None:
        """A metric as its API answers it; None before the first scrape."""
        if not self._scrapes:
            return None
        if metric.signal == REQUESTS:
            return Reading(self._scrapes[-1][1][REQUESTS], 0, 0)
        now, latest = self._scrapes[-1]
        known = (self.state == State.READY) & (latest["created"] == self._created)
        values = latest[metric.signal]
        if metric.signal in (BUSY, CPU):
            window = SCRAPE_SECONDS if metric.signal == CPU else RATE_SECONDS
            moments = np.full(len(values), np.nan)
            before = np.zeros(len(values))
            for moment, scraped in reversed(self._scrapes):  # each replica's oldest sample within the window
                if now - window <= moment < now:
                    same = scraped["created"] == latest["created"]
                    moments[same], before[same] = moment, scraped[metric.signal][same]
            known &= ~np.isnan(moments)
            with np.errstate(invalid="ignore"):
                values = (values - before) / (now - moments)
            if metric.signal == CPU:
                values = values * self.service.cpu / self.service.cores
        unknown = int(((self.state == State.READY) & ~known).sum()) + self.count(State.LOADING)
        pending = self.count(State.PENDING)
        if metric.kind is Kind.RESOURCE:  # what has not been ready for a whole sample is not counted at all
            return Reading(values[known], 0, pending + unknown)
        return Reading(values[known], unknown, pending)
