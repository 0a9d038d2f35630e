"""Which worker hangs: it has been processing one batch for long, and has not computed since."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
from speaker_id import activity

from serving.host import processes

SUSPECT_SECONDS = 1.0  # without an answer, or at one batch, before the workers' CPU time is read
# At one batch without computing. Too high: the batch waits. Too low: a worker is ended over one clip whose decoder
# hangs, which the worker itself abandons (speaker_id.decoders.patience.HANG_SECONDS) and shows by another name.
HUNG_SECONDS = 65.0
# Between two looks: nobody looked, because the watch, or it and the worker, were suspended (Ctrl-Z, docker pause)
SUSPENDED = 5.0
WORK = 0.02  # CPU seconds between two looks that count as computing: an idle worker uses less


@dataclass
class _Batch:
    """The batch that a worker is processing: since when, when it was last looked at, and last seen to compute."""

    name: str
    since: float
    seen: float
    worked: float
    cpu: float = math.inf


class Hung:
    """Tracks the batch that each worker shows; to be called at every look."""

    def __init__(self) -> None:
        self._batches: dict[int, _Batch] = {}

    def hangs(self, pid: int, family: Sequence[psutil.Process]) -> bool:
        """Whether a worker has been processing one batch for HUNG_SECONDS without computing.

        Args:
            pid: the worker.
            family: it and its descendants.
        """
        now, name = time.monotonic(), activity.batch_of(pid)
        batch = self._batches.get(pid)
        if name is None or batch is None or batch.name != name or now - batch.seen > SUSPENDED:
            self._batches.pop(pid, None)
            if name is not None:
                self._batches[pid] = _Batch(name, now, now, now)
            return False
        batch.seen = now
        if now - batch.since < SUSPECT_SECONDS:
            return False
        before, batch.cpu = batch.cpu, processes.all_cpu_seconds(family)
        if batch.cpu - before > WORK or before == math.inf:
            batch.worked = now
        return now - batch.worked > HUNG_SECONDS
