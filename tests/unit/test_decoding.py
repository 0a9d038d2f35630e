"""Work done ahead, in order, and not too far ahead."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from speaker_id.decoding import ahead


def test_results_come_in_order_whatever_finishes_first() -> None:
    last = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert last.wait(600)
        if item == 2:
            last.set()
        return item * item

    with ThreadPoolExecutor(3) as pool:
        assert [(item, future.result()) for item, future in ahead(pool, work, range(4), 3)] == [
            (0, 0),
            (1, 1),
            (2, 4),
            (3, 9),
        ]


def test_no_more_than_the_depth_is_started_beyond_the_one_asked_for() -> None:
    started: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        stream = ahead(pool, started.append, range(100), depth=2)
        next(stream)[1].result()
    assert sorted(started) == [0, 1, 2]


def test_an_items_error_is_its_own() -> None:
    with ThreadPoolExecutor(2) as pool:
        futures = [future for _, future in ahead(pool, lambda item: 1 // item, (1, 0, 2), 2)]
    assert futures[0].result() == 1
    with pytest.raises(ZeroDivisionError):
        futures[1].result()
    assert futures[2].result() == 0
