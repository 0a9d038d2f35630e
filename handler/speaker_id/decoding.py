"""Clips → waveforms, several at a time and ahead of the encoder, yet in order and bounded, in CPU time too.

Each thread waits for a decoder process (`decoders`), which works beside the encoder. What needs none is done AtOnce.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from speaker_id.errors import AudioTooCostly

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    start: Callable[[Item], Future[Result]], items: Iterable[Item], depth: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Start the items, at most `depth` beyond the one asked for, and give them back in order.

    The bound is what keeps memory flat: a caller of 64 clips has no more than depth + 1 waveforms alive that
    nobody has asked for yet.
    """
    started: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        started.append((item, start(item)))
        if len(started) > depth:
            yield started.popleft()
    yield from started


class Budget:
    """CPU seconds that decoding one request's clips may take together, however many are decoded at once.

    A clip that starts is lent its part of what is left, in equal parts for as many as may start before any has ended;
    what it did not use is the next one's. So a clip by itself is lent all. Safe to use from many threads.

    Args:
        limit: CPU seconds.
        clips: of the request.
        at_once: how many clips are decoded at a time.
    """

    def __init__(self, limit: float, clips: int, at_once: int) -> None:
        self._limit, self._left = limit, limit
        self._waiting, self._free = clips, at_once
        self._lock = threading.Lock()

    def lend(self) -> float:
        """CPU seconds for the clip that starts now. Raises AudioTooCostly if there are none left."""
        with self._lock:
            if self._left <= 0:
                raise AudioTooCostly(
                    f"decoding the request's clips takes more than {self._limit:g} s of CPU time, the limit: send "
                    "fewer at a time"
                )
            lent = self._left / max(min(self._free, self._waiting), 1)
            self._left -= lent
            self._free, self._waiting = self._free - 1, self._waiting - 1
            return lent

    def settle(self, lent: float, used: float) -> None:
        """A clip has ended and has used so much, perhaps a little more than it was lent."""
        with self._lock:
            self._left += lent - used
            self._free += 1


class AtOnce(Executor):
    """Runs in the caller's own thread what takes less time than waking another would."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:
            future.set_exception(exc)
        return future
