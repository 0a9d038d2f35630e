"""Replicas as bounded FIFO queues with batching workers: an exact event simulation, compiled by numba.

Replicas interact only through the router, so there is no common calendar of events: a replica's batches are processed
up to a moment when that moment matters to it: when a request arrives there, or its metrics are read. The result is
that of an ordinary event loop, at some millions of requests a second.

A free worker takes the first request, then waits `delay` for more, `batch` at most: TorchServe's batch aggregator.
A request that finds `capacity` others waiting is refused (429).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Timing(NamedTuple):
    """How a replica batches, and the seconds that a batch takes:
    noise × (fixed + per_request · n + per_second · Σs), s being seconds of audio."""

    batch: int
    delay: float  # s
    fixed: float
    per_request: float
    per_second: float
    overhead: float  # s that a request spends on its way, without occupying a worker


class Queues(NamedTuple):
    """The state of all replicas; the first axis is the replica."""

    arrival: Floats  # (replicas, capacity): ring of the waiting requests' moments
    audio: Floats  # s
    noise: Floats  # of the batch that a request is the first of
    head: Integers
    waiting: Integers
    free: Floats  # (replicas, workers): when a worker will be, or has become, free
    seconds: Floats  # of its latest batch
    clips: Integers  # in its latest batch
    busy: Floats  # s of all batches started
    waited: Floats  # s in the queue of all requests taken
    served: Integers  # requests taken


class Done(NamedTuple):
    """Requests whose answer is certain, since the buffer was last emptied."""

    arrival: Floats
    latency: Floats
    number: Integers  # (2,): answered, refused
    refused: Floats  # moments of arrival


def queues(replicas: int, capacity: int, workers: int) -> Queues:
    """Empty queues of idle replicas."""
    ring = (replicas, capacity)
    each = (replicas, workers)
    return Queues(
        np.zeros(ring), np.zeros(ring), np.zeros(ring),
        np.zeros(replicas, np.int64), np.zeros(replicas, np.int64),
        np.zeros(each), np.zeros(each), np.zeros(each, np.int64),
        np.zeros(replicas), np.zeros(replicas), np.zeros(replicas, np.int64),
    )  # fmt: skip


def buffer(size: int) -> Done:
    """Room for all answers and refusals between two readings: of all that wait, and of all that arrive."""
    return Done(np.zeros(size), np.zeros(size), np.zeros(2, np.int64), np.zeros(size))


@njit(cache=True)
def serve(queues: Queues, how: Timing, done: Done, replica: int, now: float) -> None:
    """Begin every batch of one replica that is certain by now."""
    capacity = queues.arrival.shape[1]
    arrival = queues.arrival[replica]
    while queues.waiting[replica] > 0:
        worker = np.argmin(queues.free[replica])
        head = queues.head[replica]
        begin = max(queues.free[replica, worker], arrival[head])
        closes = begin + how.delay
        if begin > now or (queues.waiting[replica] < how.batch and closes > now):
            return
        taken, audio, start = 0, 0.0, begin
        while taken < min(how.batch, queues.waiting[replica]):
            place = (head + taken) % capacity
            if arrival[place] > closes:
                break
            start = max(start, arrival[place])
            audio += queues.audio[replica, place]
            taken += 1
        if taken < how.batch:
            start = closes
        seconds = queues.noise[replica, head] * (how.fixed + how.per_request * taken + how.per_second * audio)
        for offset in range(taken):
            moment = arrival[(head + offset) % capacity]
            done.arrival[done.number[0]] = moment
            done.latency[done.number[0]] = start + seconds - moment + how.overhead
            done.number[0] += 1
            queues.waited[replica] += start - moment
        queues.head[replica] = (head + taken) % capacity
        queues.waiting[replica] -= taken
        queues.free[replica, worker] = start + seconds
        queues.seconds[replica, worker] = seconds
        queues.clips[replica, worker] = taken
        queues.busy[replica] += seconds
        queues.served[replica] += taken


@njit(cache=True)
def in_flight(queues: Queues, replica: int, now: float) -> int:
    """Requests that one replica holds: waiting, and in a batch that is not finished."""
    held: int = queues.waiting[replica]
    for worker in range(queues.free.shape[1]):
        if queues.free[replica, worker] > now:
            held += queues.clips[replica, worker]
    return held


@njit(cache=True)
def offer(
    queues: Queues,
    how: Timing,
    done: Done,
    times: Floats,
    audio: Floats,
    noise: Floats,
    first: Integers,
    second: Integers,
) -> None:
    """Hand arrivals, ascending, to replicas: to `first`, or to the one of `first` and `second` that holds fewer."""
    capacity = queues.arrival.shape[1]
    for index in range(len(times)):
        now = times[index]
        chosen = first[index]
        serve(queues, how, done, chosen, now)
        if len(second) and second[index] != chosen:
            serve(queues, how, done, second[index], now)
            if in_flight(queues, second[index], now) < in_flight(queues, chosen, now):
                chosen = second[index]
        if queues.waiting[chosen] == capacity:
            done.refused[done.number[1]] = now
            done.number[1] += 1
            continue
        place = (queues.head[chosen] + queues.waiting[chosen]) % capacity
        queues.arrival[chosen, place] = now
        queues.audio[chosen, place] = audio[index]
        queues.noise[chosen, place] = noise[index]
        queues.waiting[chosen] += 1


@njit(cache=True)
def settle(queues: Queues, how: Timing, done: Done, replicas: Integers, now: float) -> None:
    """Work off what is certain by now, on these replicas."""
    for replica in replicas:
        serve(queues, how, done, replica, now)


def finished_seconds(queues: Queues, now: float) -> Floats:
    """(replicas,) seconds of the batches that are finished: a counter that the handler raises at a batch's end."""
    running = np.where(queues.free > now, queues.seconds, 0.0).sum(axis=1)
    finished: Floats = queues.busy - running
    return finished


def busy_seconds(queues: Queues, now: float) -> Floats:
    """(replicas,) seconds that workers have been busy so far, the running batches' up to now: processor time."""
    ahead = np.maximum(queues.free - now, 0.0).sum(axis=1)
    so_far: Floats = queues.busy - ahead
    return so_far
