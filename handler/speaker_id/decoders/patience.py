"""How long one clip's caller waits for its decoder."""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from typing import TypeVar

from speaker_id.errors import DeadlineExceeded, Fault

# Most seconds without a reply: CPU time is bounded, so a decoder that takes longer waits for the processor, or hangs.
HANG_SECONDS = 60.0
HANG = "hang"  # kind of such a fault
Result = TypeVar("Result")


class Patience:
    """How long one clip's caller still waits, for a decoder, its start or its reply.

    Args:
        deadline: seconds since the epoch; HANG_SECONDS from now if that is sooner, or None.
    """

    def __init__(self, deadline: float | None) -> None:
        self._hangs = time.monotonic() + HANG_SECONDS
        self._until = self._hangs if deadline is None else time.monotonic() + deadline - time.time()

    @property
    def left(self) -> float:
        """Seconds; never 0, which would mean to not wait at all."""
        return max(min(self._until, self._hangs) - time.monotonic(), 1e-3)

    def wait(self, future: Future[Result]) -> Result:
        """Return its result. Raises DeadlineExceeded if there is none in time."""
        if not wait([future], self.left).done:
            raise self.late()
        return future.result()

    def late(self) -> DeadlineExceeded:
        """Return why a clip was not decoded in time: never its own fault, since its CPU time has a limit."""
        if self._until < self._hangs:
            message = "the clip was not decoded before the request's deadline"
            return DeadlineExceeded(message, fault=Fault("deadline"))
        message = (
            f"the clip was not decoded within {HANG_SECONDS:.0f} s because the server is too busy: try again"
        )
        return DeadlineExceeded(message, fault=Fault(HANG))
