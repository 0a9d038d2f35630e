"""Signals that ask a command to stop: raised as an exception at most once, and never during a clean-up."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

SAME_SECONDS = 2.0  # within which a second signal counts as the same request
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal was received. Not an Exception, so that no handler of faults catches it."""


class Stopper:
    """Counts signals, and raises the first one as `Interrupted` while `raising` is set.

    Attributes:
        asked: signals received so far: one asks for a graceful stop, two for an immediate one.
        raising: whether the next signal interrupts what is running; clear it before a clean-up.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.raising = True
        self._last, self._held = (
            -math.inf,
            math.inf,
        )  # when the last signal was received, and when `hold` was called
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def hold(self) -> None:
        """Stop raising signals; `again` says whether one was received since."""
        self.raising, self.asked, self._held = False, 0, time.monotonic()

    def let_go(self) -> None:
        """Raise signals again; one that was received meanwhile is raised now."""
        self.raising = not self.asked
        if self.asked:
            raise Interrupted

    @property
    def again(self) -> bool:
        """Whether a signal was received since `hold`; one within SAME_SECONDS of it does not count, because make and
        `timeout` send theirs twice."""
        return self._last - self._held > SAME_SECONDS

    def hurry(self) -> bool:
        return self.asked > 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        self._last = time.monotonic()
        if self.raising:
            self.raising = False
            raise Interrupted
