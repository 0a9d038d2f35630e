"""The logs of a run folder: those of the last starts are kept, and the size of each is bounded."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from bundle import private

EARLIER, KEPT = "earlier", 3  # starts whose logs are kept, in `earlier/1`, the latest, to `earlier/3`
LARGEST = 20_000_000  # bytes; of the gateway's access log about 80,000 requests
ROTATED = ".1.log"  # suffix of the previous log
FOLDER, JVM, GATEWAY, ACCESS = "logs", "jvm.log", "gateway.log", "gateway_access.log"
CANCELLED = "cancelled"  # what the gateway calls the requests whose callers have hung up: the workers read it
LARGEST_CANCELLED = 1_000_000  # bytes; about 30,000 requests
SPLITTER = "splitter.log"


def keep(run: Path) -> None:
    """Move the logs of the previous start aside, so that they are neither taken for this one's nor lost.

    A supervisor restarts within seconds: the reason of a crash must survive the next starts.
    """
    found = [path for path in (run / FOLDER, *sorted(run.glob("*.log"))) if path.exists()]
    if not found:
        return
    earlier = private.folder(run / EARLIER)
    shutil.rmtree(earlier / str(KEPT), ignore_errors=True)
    for number in range(KEPT - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            (earlier / str(number)).rename(earlier / str(number + 1))
    latest = earlier / "1"
    latest.mkdir(mode=0o700)
    for path in found:
        path.rename(latest / path.name)


def rotated(log: Path) -> Path:
    """Where the previous log is kept."""
    return log.with_suffix(ROTATED)


def too_large(log: Path, limit: int) -> bool:
    try:
        return log.stat().st_size > limit
    except FileNotFoundError:
        return False


def empty(log: Path) -> None:
    """Truncate a log, whose writer only appends; nothing if there is none."""
    with contextlib.suppress(FileNotFoundError):
        os.truncate(log, 0)


def cut(log: Path, limit: int = LARGEST) -> None:
    """Copy a log that has become too large and truncate it, because its writer does not reopen it; lines written in
    between are lost.

    Raises:
        OSError: it cannot be copied; then it is not truncated either.
    """
    if too_large(log, limit):
        shutil.copyfile(log, rotated(log), follow_symlinks=False)
        rotated(log).chmod(0o600)
        os.truncate(log, 0)
