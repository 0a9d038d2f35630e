"""What Triton does not do by itself: end a worker whose batch takes too long, load a version whose worker has ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence

from speaker_id import activity

from serving.triton.control import TritonControl
from serving.triton.overdue import Overdue

# From asking Triton to load a version whose worker has ended until it is asked again, if that is not loaded meanwhile.
# Too high: one that does not load at the first attempt is away for longer. Too low: it is loaded twice at once.
AGAIN_SECONDS = 10.0

Key = tuple[str, int]  # model, and Triton's number of the version


class Revival:
    """Tracks the workers of every version; to be called at every look, and at once when a worker ends."""

    def __init__(self) -> None:
        self._complete: set[Key] = set()  # those that have had all their workers: others are being loaded
        self._asked: dict[Key, float] = {}
        self._overdue = Overdue()

    def look(self, control: TritonControl) -> Sequence[int]:
        """Do what is due.

        Returns:
            Process ids of all workers.

        Raises:
            ManagementError, OSError: Triton is being stopped, or a version removed.
        """
        now, stubs = time.monotonic(), control.stubs()
        for pid in self._overdue.workers(control.patience_of(stubs)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        staffed = control.staffed(stubs)
        self._complete |= {version for version, whole in staffed.items() if whole}
        for version in {each for each in self._complete if not staffed.get(each, True)}:
            if now - self._asked.get(version, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                self._asked[version] = now
                control.reload(*version)
        loaded = {file: [pid for pid in pids if activity.shown(pid)] for file, pids in stubs.items()}
        for version, whole in control.staffed(loaded).items():
            if whole:
                self._asked.pop(version, None)  # when one ends next, it is another one
        return [pid for pids in stubs.values() for pid in pids]
