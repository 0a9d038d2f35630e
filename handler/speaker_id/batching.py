"""What bounds the memory and the time of a batch: micro-batches, read-ahead, and a budget of CPU time.

Whatever arrives, no more audio than one micro-batch is held and encoded at once. Clips are decoded ahead of the
encoder, each in a thread that waits for a decoder process (`decoders`), or AtOnce where none is needed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from speaker_id.clip import Waveform
from speaker_id.errors import AudioTooCostly

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")


def pack(clips: Iterable[tuple[Key, Waveform]], budget: int) -> Iterator[list[tuple[Key, Waveform]]]:
    """Cut a stream of clips, in order, into micro-batches of at most `budget` samples together.

    The stream is drawn lazily: at most one micro-batch, and the clip that did not fit in it, exist at a time.
    A clip longer than the budget is a micro-batch of its own.

    Args:
        clips: pairs of a caller's key and a waveform of shape (samples,), float32.
        budget: samples of a micro-batch.
    """
    micro_batch: list[tuple[Key, Waveform]] = []
    used = 0
    for key, waveform in clips:
        if micro_batch and used + len(waveform) > budget:
            yield micro_batch
            micro_batch, used = [], 0
        micro_batch.append((key, waveform))
        used += len(waveform)
    if micro_batch:
        yield micro_batch


def ahead(
    start: Callable[[Item], Future[Result]], items: Iterable[Item], depth: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Start the items, at most `depth` beyond the one asked for, and yield them in order.

    The bound keeps memory constant: of a request of 64 clips no more than depth + 1 waveforms exist that have not
    been asked for yet.
    """
    started: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        started.append((item, start(item)))
        if len(started) > depth:
            yield started.popleft()
    yield from started


class Budget:
    """CPU seconds that decoding one request's clips may take together, however many are decoded at once.

    A clip that starts is lent an equal share of what is left: the divisor is how many clips may start before one of
    them has ended. What it did not use goes back. So a clip by itself is lent everything. Thread-safe.

    Args:
        limit: CPU seconds.
        clips: how many will be decoded.
        at_once: how many of them concurrently.
    """

    def __init__(self, limit: float, clips: int, at_once: int) -> None:
        self._limit, self._left = limit, limit
        self._waiting, self._free = clips, at_once
        self._lock = threading.Lock()

    def lend(self) -> float:
        """Return the CPU seconds of the clip that starts now. Raises AudioTooCostly if none are left."""
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
        """Take back what a clip was lent, less what it used, which may be a little more."""
        with self._lock:
            self._left += lent - used
            self._free += 1


class AtOnce(Executor):
    """Run in the caller's own thread what takes less time than waking another thread would."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:
            future.set_exception(exc)
        return future
