"""A worker that is too slow, by the batch that it shows."""

from __future__ import annotations

import pytest

from serving.triton import overdue
from serving.triton.overdue import Overdue

WORKER, OTHER = 7, 8


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(overdue, "time", made)
    return made


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """What each worker shows."""
    made: dict[int, str] = {}
    monkeypatch.setattr(overdue.activity, "batch_of", made.get)
    return made


def test_a_worker_is_overdue_once_one_batch_takes_longer_than_it_may(
    clock: Clock, shown: dict[int, str]
) -> None:
    looks = Overdue()
    shown |= {WORKER: "batch 1", OTHER: "batch 5"}
    assert looks.workers({WORKER: 4.0, OTHER: 60.0}) == []
    clock.now += 4.0
    assert looks.workers({WORKER: 4.0, OTHER: 60.0}) == []
    clock.now += 0.1
    assert looks.workers({WORKER: 4.0, OTHER: 60.0}) == [WORKER]


def test_another_batch_or_none_begins_anew(clock: Clock, shown: dict[int, str]) -> None:
    looks = Overdue()
    for name in ("batch 1", "batch 2", None, "batch 2"):
        shown.clear()
        if name:
            shown[WORKER] = name
        assert looks.workers({WORKER: 4.0}) == [], name
        clock.now += 3.0
