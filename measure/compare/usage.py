"""What a server uses while it is measured: memory of all its processes, and what others use of the processor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from measure.compare.servers import Server
from measure.noise import Neighbours
from measure.sampling import resident, sampled

SAMPLE_SECONDS = 0.5


@dataclass
class Usage:
    """Complete at the end of the block.

    Attributes:
        peak: largest resident set of all processes together, in bytes, shared pages counted in each.
        wall: seconds that the block took.
        foreign: processor seconds that neither the server nor its load used.
    """

    peak: int = 0
    wall: float = 0.0
    foreign: float = 0.0


@contextmanager
def watched(server: Server) -> Iterator[Usage]:
    found, began, neighbours = Usage(), time.monotonic(), Neighbours()

    def look() -> None:
        found.peak = max(found.peak, resident(server.processes()))

    with sampled(look, SAMPLE_SECONDS):
        yield found
    found.wall = time.monotonic() - began
    found.foreign = neighbours.cores() * found.wall
