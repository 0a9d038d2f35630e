from __future__ import annotations

import numpy as np
import pytest

from measure.autoscale import queueing
from measure.autoscale.fleet import BUSY, CPU, CUMULATIVE, QUEUE, Fleet, Start, State
from measure.autoscale.hpa import Kind, Metric
from tests.unit.measure.autoscale.services import service

START = Start(node=10.0, image=20.0, load=5.0, probe=0.0)


def fleet(**changes: float) -> Fleet:
    return Fleet(service(**changes), 8, START, np.random.default_rng(0))


def send(made: Fleet, replica: int, *times: float) -> None:
    count = len(times)
    place = np.full(count, replica)
    queueing.offer(
        made.queues, made.service.timing, queueing.buffer(100), np.array(times), np.ones(count), np.ones(count),
        place, place[:0],
    )  # fmt: skip


def look(made: Fleet, now: float) -> None:
    queueing.settle(made.queues, made.service.timing, queueing.buffer(100), np.arange(8), now)
    made.scrape(now, 0.0)


def test_a_replica_serves_after_node_image_and_load() -> None:
    made = fleet()
    made.scale(1, 100.0)
    states = []
    for now in (129.0, 130.0, 134.0, 135.0):
        made.advance(now)
        states.append(State(made.state[0]))
    assert states == [State.PENDING, State.LOADING, State.LOADING, State.READY]
    assert made.ready.tolist() == [0]


def test_those_that_are_not_ready_go_first_and_then_the_youngest() -> None:
    made = fleet()
    made.scale(1, 0.0, warm=True)
    made.scale(2, 50.0, warm=True)
    made.scale(3, 100.0)
    made.scale(2, 101.0)
    assert made.ready.tolist() == [0, 1]
    assert made.paid == 2
    made.scale(1, 102.0)
    assert made.ready.tolist() == [0]


def test_a_replica_that_goes_is_paid_for_until_its_queue_is_answered() -> None:
    made = fleet()
    made.scale(1, 0.0, warm=True)
    made.scale(2, 1.0, warm=True)
    send(made, 1, 10.0, 10.1)
    made.scale(1, 10.5)
    assert made.replicas == 1
    for now, paid in ((10.5, 2), (11.5, 2), (12.0, 1)):
        queueing.settle(made.queues, made.service.timing, queueing.buffer(100), np.arange(8), now)
        made.advance(now)
        assert made.paid == paid


def test_the_queue_is_what_waited_at_the_scrape() -> None:
    made = fleet()
    made.scale(2, 0.0, warm=True)
    send(made, 0, 15.0, 15.1, 15.2, 15.3)
    look(made, 15.5)
    reading = made.reading(Metric(QUEUE, 4.0))
    assert reading is not None
    assert reading.values.tolist() == [3.0, 0.0]


def test_rates_need_two_scrapes_and_a_new_replica_has_none_yet() -> None:
    made = fleet()
    made.scale(1, 0.0, warm=True)
    look(made, 15.0)
    reading = made.reading(Metric(BUSY, 0.5))
    assert reading is not None
    assert (len(reading.values), reading.missing) == (0, 1)
    send(made, 0, 15.0, 16.0, 17.0)
    made.scale(2, 16.0)
    look(made, 30.0)
    made.advance(50.0)
    reading = made.reading(Metric(BUSY, 0.5))
    assert reading is not None
    assert reading.values.tolist() == pytest.approx([3 / 15])
    assert (reading.missing, reading.pending) == (1, 0)  # the container runs, the model loads


def test_processor_use_is_of_the_cores_that_were_asked_for() -> None:
    made = fleet(cpu=1.0, cores=2)
    made.scale(1, 0.0, warm=True)
    look(made, 15.0)
    send(made, 0, *[15.0] * 15)
    look(made, 30.0)
    reading = made.reading(Metric(CPU, 0.5, Kind.RESOURCE))
    assert reading is not None
    assert reading.values.tolist() == pytest.approx([0.5])


def test_torchserve_s_counter_never_falls() -> None:
    made = fleet()
    made.scale(1, 0.0, warm=True)
    send(made, 0, 0.0, 0.0)
    seen = []
    for now in (15.0, 30.0, 3600.0):
        look(made, now)
        reading = made.reading(Metric(CUMULATIVE, 7000.0, Kind.EXTERNAL_VALUE))
        assert reading is not None
        seen.append(float(reading.values.sum()))
    assert seen == pytest.approx([1e6, 1e6, 1e6])  # the second waited one second, an hour ago
