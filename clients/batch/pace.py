"""How fast a caller asks that has no hurry: as fast as its requests are worked on at once, and slower while they wait.

A request waits behind other callers' where the answer takes longer than the work on it, which the server states. So the
caller learns of the others without being told, as TCP's background transports do (LEDBAT, RFC 6817).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clients.identify import Answer

TOLERATED_SHARE, TOLERATED_SECONDS = (
    0.5,
    0.02,
)  # of the work on a request, and at least: a wait that is no queue
SLOWER, FASTER = 0.7, 0.25  # factor of the window after a wait, and what a request without adds to it
LEAST = 0.1  # of the window: a tenth of the time one request is in flight


class Pace:
    """A window of requests in flight; below one, the caller pauses between them.

    Args:
        most: requests in flight.
    """

    def __init__(self, most: int) -> None:
        self.most, self.window, self.in_flight = most, 1.0, 0
        self.transport = float("inf")  # s: the least that a request took beside the work on it
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[Callable[[Answer], Answer]]:
        """Wait for a place in the window; the caller hands the answer to what is yielded."""
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self.in_flight < max(1.0, self.window))
            self.in_flight += 1
            began = time.monotonic()

        def watch(answer: Answer) -> Answer:
            self.learn(answer)
            return answer

        try:
            yield watch
        finally:
            spent = time.monotonic() - began
            if self.window < 1.0:
                time.sleep(min(5.0, spent * (1.0 / self.window - 1.0)))
            with self._changed:
                self.in_flight -= 1
                self._changed.notify_all()

    def learn(self, answer: Answer) -> None:
        """Adapt the window to one answer; without the server's timing it stays one."""
        if answer.work_seconds is None:
            return
        with self._changed:
            beside = max(0.0, answer.seconds - answer.work_seconds)
            self.transport = min(self.transport, beside)
            waited = beside - self.transport
            if answer.attempts > 1 or waited > max(TOLERATED_SECONDS, TOLERATED_SHARE * answer.work_seconds):
                self.window = max(LEAST, self.window * SLOWER)
            else:
                self.window = min(float(self.most), self.window + FASTER)
