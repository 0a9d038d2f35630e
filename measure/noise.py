"""How much of the machine other programs took while we measured."""

from __future__ import annotations

import contextlib
import time

import psutil

from measure.machine import busy_seconds

TOLERATED = 0.1  # cores; a desktop at rest


class Neighbours:
    """From its making on, the processor time that neither this process nor any that it started has used."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy, self._ours = busy_seconds(), own_seconds()

    def cores(self) -> float:
        """Mean number of cores that others kept busy; what ended unseen on our side counts as theirs."""
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


def warning(cores: float) -> str | None:
    """What to do about them, or None if they are few."""
    if cores <= TOLERATED:
        return None
    return f"other programs kept {cores:.1f} cores busy meanwhile: the figures would be better on a quiet machine"
