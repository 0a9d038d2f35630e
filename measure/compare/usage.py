"""What a server uses while it is measured: memory of all its processes, and their processor time."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from types import TracebackType

import psutil

from measure.compare.servers import Server
from measure.machine import busy_seconds

SAMPLE_SECONDS = 0.5


class Usage:
    """Looks twice a second, for as long as the block lasts.

    Attributes:
        peak: largest resident set of all processes together, in bytes, shared pages counted in each.
        wall: seconds that the block took.
        foreign: processor seconds that neither the server nor its load used.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.peak = 0
        self.wall = self.foreign = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Usage:
        self._began = time.monotonic(), self._foreign()
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        began, foreign = self._began
        self.wall = time.monotonic() - began
        self.foreign = self._foreign() - foreign

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, resident(self.server.processes()))
            if self._over.wait(SAMPLE_SECONDS):
                return

    def _foreign(self) -> float:
        """Busy seconds of the machine, less the server's and those of this process and its ended children."""
        mine = sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return busy_seconds() - mine - processor_seconds(self.server.processes())


def resident(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def processor_seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total
