"""The temp folder of one TorchServe, by which its processes are identified."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil

from bundle import BundleError
from serving.host import processes

OPTION, PREFIX = "-Djava.io.tmpdir=", "speaker-id-"
SOCKET_PREFIX = ".ts.sock."  # TorchServe's name for a worker's socket, before its number
LONGEST_SOCKET_PATH = 107  # sun_path of unix(7), less its final zero byte


def belonging_to(temp: Path) -> list[psutil.Process]:
    """The JVM and the workers that use this temp folder, whichever process started them."""
    return processes.matching(
        lambda argument: argument == f"{OPTION}{temp}" or argument.startswith(str(temp / SOCKET_PREFIX))
    )


def folder() -> Path:
    """Create a temp folder in which the paths of the workers' sockets stay within the system's limit."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    if len(os.fsencode(made / f"{SOCKET_PREFIX}65535")) > LONGEST_SOCKET_PATH:
        made.rmdir()
        raise BundleError(f"TMPDIR {made.parent} is too long for the workers' sockets: set TMPDIR=/tmp")
    return made
