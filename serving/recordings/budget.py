"""Bytes that requests may hold together; who needs more waits, first in, first out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Reservation:
    """What one request holds.

    Attributes:
        size: in bytes.
    """

    def __init__(self, budget: Budget, size: int) -> None:
        self.budget, self.size = budget, size

    def reduce(self, size: int) -> None:
        """Give back what is above `size`."""
        size = min(size, self.size)
        self.budget.left += self.size - size
        self.size = size
        self.budget.admit()


class Budget:
    """Memory that is reserved before it is used.

    Args:
        limit: bytes; one request that needs more than that has all of it.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.left = limit, limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def admits(self, size: int) -> bool:
        """Whether so many bytes need not be waited for."""
        return not self._waiting and size <= self.left

    @asynccontextmanager
    async def reserved(self, size: int) -> AsyncIterator[Reservation]:
        """Hold so many bytes."""
        size = min(size, self.limit)
        if not self.admits(size):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.left += size
                else:
                    self._waiting.remove((size, turn))
                self.admit()
                raise
        else:
            self.left -= size
        held = Reservation(self, size)
        try:
            yield held
        finally:
            held.reduce(0)

    def admit(self) -> None:
        """Let those go on who have waited longest, as far as there is room."""
        while self._waiting and self._waiting[0][0] <= self.left:
            size, turn = self._waiting.popleft()
            self.left -= size
            turn.set_result(None)
