"""Signals that ask a command to end, as an exception at most once, and never in the middle of a clean-up."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

SAME_SECONDS = 2.0  # from a signal to one that is not the same wish again
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal was received. No Exception, so that nothing takes it for a fault."""


class Stopper:
    """Turns signals into a count, and the first one into an `Interrupted` as long as `raising` is set.

    Attributes:
        asked: signals received so far: one asks for a stop, two for a quick one.
        raising: whether the next signal interrupts what is under way; clear it before a clean-up.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.raising = True
        self._last, self._held = -math.inf, math.inf  # the last signal's moment, and that of `hold`
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def hold(self) -> None:
        """From now on a signal interrupts nothing; `again` says whether there was one."""
        self.raising, self.asked, self._held = False, 0, time.monotonic()

    def let_go(self) -> None:
        """Signals interrupt again; one that was received meanwhile does now."""
        self.raising = not self.asked
        if self.asked:
            raise Interrupted

    @property
    def again(self) -> bool:
        """Whether there was a signal since `hold`, except one at once: make and `timeout` send theirs twice."""
        return self._last - self._held > SAME_SECONDS

    def hurry(self) -> bool:
        return self.asked > 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        self._last = time.monotonic()
        if self.raising:
            self.raising = False
            raise Interrupted
