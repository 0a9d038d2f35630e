"""Waveforms, decoded ahead of the encoder within a budget of CPU time, and cut into turns of bounded audio.

Whatever arrives, no more than the turns' budget is held and encoded at once. Each thread that decodes waits for a
decoder process (`decoders`), which works beside the encoder. What needs none is done AtOnce.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from speaker_id.clip import Waveform as Waveform
from speaker_id.errors import AudioTooCostly

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")


def pack(clips: Iterable[tuple[Key, Waveform]], budget: int) -> Iterator[list[tuple[Key, Waveform]]]:
    """Cut a stream of clips, in order, into turns of at most `budget` samples together.

    The stream is drawn lazily: at most one turn, and the clip that did not fit in it, are alive at a time.
    A clip longer than the budget is a turn of its own.

    Args:
        clips: pairs of a caller's key and a waveform of shape (samples,), float32.
        budget: samples a turn.
    """
    turn: list[tuple[Key, Waveform]] = []
    used = 0
    for key, waveform in clips:
        if turn and used + len(waveform) > budget:
            yield turn
            turn, used = [], 0
        turn.append((key, waveform))
        used += len(waveform)
    if turn:
        yield turn


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
