"""Signals that ask a command to end, as an exception at most once, and never in the middle of a clean-up."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal was received. No Exception, so that nothing takes it for a fault."""


class Stopper:
    """Turns signals into a count, and the first one into an `Interrupted` as long as `raising` is set.

    Attributes:
        asked: signals received so far: one asks for a stop, two for a quick one.
        raising: whether the next signal interrupts what is under way; clear it before a clean-up.
        last: when the last one was received, by time.monotonic().
    """

    def __init__(self) -> None:
        self.asked = 0
        self.raising = True
        self.last = -math.inf
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def hurry(self) -> bool:
        return self.asked > 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        self.last = time.monotonic()
        if self.raising:
            self.raising = False
            raise Interrupted
