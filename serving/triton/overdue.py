"""Which worker has been processing one batch for longer than responseTimeout: Triton itself would wait for ever."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from speaker_id import activity


@dataclass(frozen=True)
class _Batch:
    name: str
    since: float


class Overdue:
    """Tracks the batch that each worker shows; to be called at every look."""

    def __init__(self) -> None:
        self._batches: dict[int, _Batch] = {}

    def workers(self, patience: Mapping[int, float]) -> list[int]:
        """Process ids of the workers that are too slow.

        Args:
            patience: each worker's responseTimeout, in seconds.
        """
        now, seen = time.monotonic(), {}
        for pid in patience:
            if name := activity.batch_of(pid):
                former = self._batches.get(pid)
                seen[pid] = former if former is not None and former.name == name else _Batch(name, now)
        self._batches = seen
        return [pid for pid, batch in seen.items() if now - batch.since > patience[pid]]
