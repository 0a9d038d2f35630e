"""Micro-batches of bounded audio; clips decoded ahead, in order and not too far ahead, on a budget of CPU time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaker_id.batching import AtOnce, Budget, ahead, pack
from speaker_id.clip import Waveform
from speaker_id.errors import AudioTooCostly


def clips(lengths: list[int]) -> list[tuple[int, Waveform]]:
    return [(index, np.zeros(length, np.float32)) for index, length in enumerate(lengths)]


def micro_batches(lengths: list[int], budget: int) -> list[list[int]]:
    return [[len(waveform) for _, waveform in batch] for batch in pack(clips(lengths), budget)]


def test_clips_share_a_micro_batch_up_to_the_budget() -> None:
    assert micro_batches([4, 6, 1], budget=10) == [[4, 6], [1]]


def test_a_clip_over_the_budget_is_a_micro_batch_of_its_own() -> None:
    assert micro_batches([1, 11, 1], budget=10) == [[1], [11], [1]]


def test_no_clips_make_no_micro_batch() -> None:
    assert micro_batches([], budget=10) == []


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 40))
def test_every_clip_comes_once_in_order_and_no_micro_batch_of_several_exceeds_the_budget(
    lengths: list[int], budget: int
) -> None:
    packed = list(pack(clips(lengths), budget))
    assert [key for batch in packed for key, _ in batch] == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(len(w) for _, w in batch) <= budget for batch in packed)


def test_clips_are_drawn_only_when_their_micro_batch_is_asked_for() -> None:
    drawn: list[int] = []

    def stream() -> Iterator[tuple[int, Waveform]]:
        for key, waveform in clips([5, 5, 5, 5]):
            drawn.append(key)
            yield key, waveform

    next(pack(stream(), budget=10))
    assert drawn == [0, 1, 2]  # the third showed that the micro-batch is full


def test_results_come_in_order_whatever_finishes_first() -> None:
    last = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert last.wait(600)
        if item == 2:
            last.set()
        return item * item

    with ThreadPoolExecutor(3) as pool:
        assert [
            (item, future.result()) for item, future in ahead(partial(pool.submit, work), range(4), 3)
        ] == [
            (0, 0),
            (1, 1),
            (2, 4),
            (3, 9),
        ]


def test_no_more_than_the_depth_is_started_beyond_the_one_asked_for() -> None:
    started: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        stream = ahead(partial(pool.submit, started.append), range(100), depth=2)
        next(stream)[1].result()
    assert sorted(started) == [0, 1, 2]


def test_an_items_error_is_its_own() -> None:
    with ThreadPoolExecutor(2) as pool:
        futures = [future for _, future in ahead(partial(pool.submit, lambda item: 1 // item), (1, 0, 2), 2)]
    assert futures[0].result() == 1
    with pytest.raises(ZeroDivisionError):
        futures[1].result()
    assert futures[2].result() == 0


def test_a_clip_by_itself_is_lent_the_whole_budget() -> None:
    assert Budget(5.0, clips=1, at_once=8).lend() == 5.0


@pytest.mark.parametrize("clips", [2, 3, 64])
@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_what_is_lent_at_once_is_the_limit_whatever_the_clips_use(clips: int, at_once: int) -> None:
    budget = Budget(5.0, clips, at_once)
    used, running = 0.0, [budget.lend() for _ in range(min(clips, at_once))]
    for number in range(clips - len(running)):
        assert used + sum(running) == pytest.approx(5.0)
        lent = running.pop(0)
        used += (spent := lent * (number % 3) / 4)
        budget.settle(lent, spent)
        running.append(budget.lend())
    assert used + sum(running) == pytest.approx(5.0)


def test_nothing_is_lent_once_all_is_used() -> None:
    budget = Budget(5.0, clips=2, at_once=1)
    budget.settle(budget.lend(), 5.5)
    with pytest.raises(AudioTooCostly, match="more than 5 s of CPU time"):
        budget.lend()


def test_what_is_done_at_once_is_done_in_the_callers_thread_and_gives_its_error_like_any_other() -> None:
    assert AtOnce().submit(threading.get_ident).result() == threading.get_ident()
    failed = AtOnce().submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failed.result()
