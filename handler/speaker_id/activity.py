"""Whether a worker has a batch in progress, shown as the name of its process: `batch 17` or `idle`.

A worker that hangs, in a lock for example, neither answers nor computes, and nor does one that waits for its next
batch: from outside only this distinguishes the two. The name is the kernel's (/proc/PID/comm on Linux, which `ps` and
`top` show too): it needs no file, no clean-up and no agreement on a folder, and ends with the process. Setting it takes
half a microsecond. A batch gets another number with each clip that was given up because its decoder hangs: that may
take a minute, in which the worker computes nothing and yet does not hang itself.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

BUSY, IDLE = "batch", "idle"
MOST_BATCHES = 1_000_000_000  # then the numbers start again: the kernel keeps 15 bytes of a name


class Activity:
    """A context that is entered for every batch. On systems without /proc it shows nothing."""

    def __init__(self) -> None:
        self._batches = 0
        self._name: int | None = None
        with contextlib.suppress(OSError):
            self._name = os.open("/proc/self/comm", os.O_WRONLY)
        self._show(IDLE)

    def __enter__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Show another number: the batch goes on, although nothing was computed for long."""
        self._batches = (self._batches + 1) % MOST_BATCHES
        self._show(f"{BUSY} {self._batches}")

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show(IDLE)

    def _show(self, name: str) -> None:
        if self._name is None:
            return
        try:
            os.write(self._name, name.encode("ascii"))
        except OSError:  # a batch is answered whether it can be shown or not
            self._name = None


def shown(pid: int) -> str | None:
    """Return what a worker shows: IDLE, or the name of the batch that it has in progress; None if it shows neither."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return None
    return name if name == IDLE or name.startswith(f"{BUSY} ") else None


def batch_of(pid: int) -> str | None:
    """Return the name of the batch that a worker has in progress; None if it has none, or does not say."""
    name = shown(pid)
    return None if name == IDLE else name
