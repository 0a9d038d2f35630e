"""Clips → waveforms, several at a time and ahead of the encoder, yet in order and bounded.

Each thread waits for a decoder process (`decoders`), which works beside the encoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], depth: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Run `function` over the items, at most `depth` beyond the one asked for, and give them back in order.

    The bound is what keeps memory flat: a caller of 64 clips has no more than depth + 1 waveforms alive that
    nobody has asked for yet.
    """
    started: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        started.append((item, pool.submit(function, item)))
        if len(started) > depth:
            yield started.popleft()
    yield from started
