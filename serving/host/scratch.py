"""The temp folder of one model server, by which its processes are identified."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

from bundle import BundleError
from serving.host import processes

OPTION, PREFIX = "-Djava.io.tmpdir=", "speaker-id-"
SOCKET_PREFIX = ".ts.sock."  # TorchServe's name for a worker's socket, before its number
REPOSITORY = "repository"  # Triton's folder of models, in its command line and its workers'
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # between Triton and its workers
LONGEST_SOCKET_PATH = 107  # sun_path of unix(7), less its final zero byte


def belonging_to(temp: Path) -> list[psutil.Process]:
    """The server and the workers that use this temp folder, whichever process started them."""
    java, socket, repository = f"{OPTION}{temp}", str(temp / SOCKET_PREFIX), str(temp / REPOSITORY)
    return processes.matching(
        lambda argument: argument == java or argument.startswith(socket) or repository in argument
    )


def remove(temp: Path) -> None:
    """Remove a temp folder, and the shared memory that is named after it."""
    shutil.rmtree(temp, ignore_errors=True)
    for region in SHARED_MEMORY.glob(f"{temp.name}-*"):  # of Triton's workers that were killed
        region.unlink(missing_ok=True)


def folder() -> Path:
    """Create a temp folder in which the paths of the workers' sockets stay within the system's limit."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    if len(os.fsencode(made / f"{SOCKET_PREFIX}65535")) > LONGEST_SOCKET_PATH:
        made.rmdir()
        raise BundleError(f"TMPDIR {made.parent} is too long for the workers' sockets: set TMPDIR=/tmp")
    return made
