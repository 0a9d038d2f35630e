"""Work done ahead, in order, and not too far ahead."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from speaker_id.batching import AtOnce, Budget, ahead
from speaker_id.errors import AudioTooCostly


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
