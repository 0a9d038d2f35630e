"""How much of the machine other programs took while we measured."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

import psutil

from measure.machine import busy_seconds

TOLERATED = 0.1  # cores; a desktop at rest
QUIET = 0.5  # load average for each core, above which results are doubtful


class Neighbours:
    """Measures the processor time that neither this process nor any that it started has used since this was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy, self._ours = busy_seconds(), own_seconds()

    def cores(self) -> float:
        """Mean number of cores that others kept busy; our processes that ended unseen count as others."""
        foreign = busy_seconds() - self._busy - (own_seconds() - self._ours)
        return max(0.0, foreign / (time.monotonic() - self._began))


def own_seconds() -> float:
    """Processor time of this process, of all that it started, and of what those waited for."""
    total = 0.0
    this = psutil.Process()
    for process in [this, *this.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # user, system, and both of the children that ended
    return total


def check_quiet(say: Callable[[str], None]) -> None:
    """Warn before a measurement on a machine that has other work."""
    if (load := os.getloadavg()[0]) > QUIET * len(os.sched_getaffinity(0)):
        say(f"load average {load:.1f}: the machine is not quiet, so the figures are not reliable")


def warning(cores: float) -> str | None:
    """What to do about the cores that others kept busy, or None if they are few."""
    if cores <= TOLERATED:
        return None
    return f"other programs kept {cores:.1f} cores busy during the run: the figures would be better on a quiet machine"


def words(cores: float, most: str = "") -> str:
    """For the line above a table."""
    return f"During the run, other programs and the host kept {most}{cores:.2f} cores busy."
