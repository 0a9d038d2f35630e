"""What a server uses while it is measured: memory of all its processes, and what others use of the processor."""

from __future__ import annotations

import contextlib
import threading
import time

import psutil

from measure.compare.servers import Server
from measure.noise import Neighbours

SAMPLE_SECONDS = 0.5


class Usage:
    """Samples twice a second, for the length of the block.

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
        self._began, self._neighbours = time.monotonic(), Neighbours()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.wall = time.monotonic() - self._began
        self.foreign = self._neighbours.cores() * self.wall

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, resident(self.server.processes()))
            if self._over.wait(SAMPLE_SECONDS):
                return


def resident(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total
