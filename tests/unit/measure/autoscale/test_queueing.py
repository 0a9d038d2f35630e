from __future__ import annotations

import numpy as np
import pytest

from measure.autoscale import queueing
from measure.autoscale.replica import replay, work_off
from tests.unit.measure.autoscale.services import service

REQUESTS = 400_000


def waits(rate: float, lengths: np.ndarray, **changes: float) -> np.ndarray:
    """Seconds in the queue of Poisson arrivals whose service takes `lengths`."""
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.exponential(1 / rate, len(lengths)))
    made = service(fixed=0.0, per_second=1.0, queue=10_000, **changes)
    arrived, latencies, refused = work_off(made, times, lengths, 0)
    assert len(refused) == 0
    return latencies - lengths[np.searchsorted(times, arrived)]


def test_mean_wait_of_exponential_service_is_that_of_m_m_1() -> None:
    # ρ / (μ - λ) with μ = 1, λ = ρ = 0.7
    lengths = np.random.default_rng(2).exponential(1.0, REQUESTS)
    assert waits(0.7, lengths).mean() == pytest.approx(0.7 / 0.3, rel=0.04)


def test_mean_wait_of_constant_service_is_that_of_m_d_1() -> None:
    # ρ / (2 μ (1 - ρ)) with μ = 1, λ = ρ = 0.8
    assert waits(0.8, np.ones(REQUESTS)).mean() == pytest.approx(0.8 / (2 * 0.2), rel=0.04)


def test_mean_wait_of_two_workers_is_that_of_m_m_2() -> None:
    # Erlang C with a = 1.4 erlang: C = 0.5765, C / (2 μ - λ) = 0.9608
    lengths = np.random.default_rng(2).exponential(1.0, REQUESTS)
    assert waits(1.4, lengths, workers=2).mean() == pytest.approx(0.9608, rel=0.04)


def test_batches_by_hand() -> None:
    # the first waits until 0.1 and takes two; three have come by 1.1, when it is done; the last waits 0.1 for others
    times = [0.0, 0.05, 0.2, 0.3, 0.31, 0.32]
    records = replay(service(batch=3, delay=0.1), times, [1.0] * 6, 0)
    latencies = [record.latency for record in records]
    assert latencies == pytest.approx([1.1, 1.05, 1.9, 1.8, 1.79, 2.88])


def test_a_batch_that_fills_up_does_not_wait_its_delay_out() -> None:
    records = replay(service(batch=2, delay=0.5), [0.0, 0.2], [1.0, 1.0], 0)
    assert [record.finished for record in records] == pytest.approx([1.2, 1.2])


def test_a_batch_takes_what_its_requests_and_their_audio_take() -> None:
    made = service(batch=2, delay=0.01, fixed=0.1, per_request=0.2, per_second=0.3, overhead=0.005)
    records = replay(made, [0.0, 0.0], [1.0, 3.0], 0)
    # 0.1 + 2 · 0.2 + 4 · 0.3, and 5 ms on the way
    assert records[0].latency == pytest.approx(1.7 + 0.005)


def test_a_full_queue_refuses() -> None:
    # the first is being served, two wait, the others are refused; the last comes when one has left the queue
    times = [0.0, 0.001, 0.002, 0.003, 0.004, 1.5]
    records = replay(service(queue=2), times, [1.0] * 6, 0)
    assert [record.error for record in records] == [None, None, None, "overloaded", "overloaded", None]


def test_every_arrival_is_answered_or_refused() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 1000, 2500))
    records = replay(service(batch=2, delay=0.01, queue=5), times, rng.uniform(1, 9, 2500), 0)
    assert len(records) == 2500
    assert {record.error for record in records} == {None, "overloaded"}
    assert [record.scheduled for record in records] == pytest.approx(times)


def test_the_emptier_of_two_replicas_is_chosen() -> None:
    state, done, made = queueing.queues(2, 10, 1), queueing.buffer(20), service()
    times = np.array([0.0, 0.1, 0.2, 0.3])
    first, second = np.zeros(4, np.int64), np.ones(4, np.int64)
    queueing.offer(state, made.timing, done, times, np.ones(4), np.ones(4), first, second)
    queueing.settle(state, made.timing, done, np.array([0, 1]), 0.5)
    assert [queueing.in_flight(state, replica, 0.5) for replica in (0, 1)] == [2, 2]


def test_counters_rise_with_finished_batches_and_processor_time_at_once() -> None:
    state, done, made = queueing.queues(1, 10, 1), queueing.buffer(20), service(fixed=4.0)
    nobody = np.zeros(1, np.int64)
    queueing.offer(state, made.timing, done, np.array([1.0]), np.ones(1), np.ones(1), nobody, nobody[:0])
    queueing.settle(state, made.timing, done, nobody, 3.0)
    assert queueing.finished_seconds(state, 3.0).tolist() == [0.0]
    assert queueing.busy_seconds(state, 3.0).tolist() == [2.0]
    assert (
        queueing.finished_seconds(state, 5.0).tolist() == queueing.busy_seconds(state, 5.0).tolist() == [4.0]
    )
