"""The temp folder of one model server, by which its processes are identified."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import psutil

from bundle import BundleError
from serving.host import processes

PREFIX = "speaker-id-"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
LONGEST_SOCKET_PATH = 107  # sun_path of unix(7), less its final zero byte


def users(traces: Iterable[str]) -> list[psutil.Process]:
    """The server and the workers that use a temp folder, whichever process started them.

    Args:
        traces: of this folder, as `ModelServer.traces` says.
    """
    known = tuple(traces)
    return processes.matching(lambda argument: any(trace in argument for trace in known))


def remove(temp: Path) -> None:
    """Remove a temp folder, and the shared memory that is named after it."""
    shutil.rmtree(temp, ignore_errors=True)
    for region in SHARED_MEMORY.glob(f"{temp.name}-*"):  # of workers that were killed
        region.unlink(missing_ok=True)


def folder(socket: str = "") -> Path:
    """Create a temp folder.

    Args:
        socket: the longest name of a socket in it, whose path must stay within the system's limit.
    """
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    if len(os.fsencode(made / socket)) > LONGEST_SOCKET_PATH:
        made.rmdir()
        raise BundleError(f"TMPDIR {made.parent} is too long for the workers' sockets: set TMPDIR=/tmp")
    return made
