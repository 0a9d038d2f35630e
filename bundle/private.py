"""Files that hold secrets: nobody but the server may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bundle import BundleError


def check(file: Path, named: str) -> None:
    """Hold a file to modes under which only the server reads it.

    Args:
        file: the secret.
        named: how its user asked for it, as in `TOKENS=file`, for the message.

    Raises:
        BundleError: others may read or write it.
        OSError: it is not there.
    """
    about = file.stat()
    # what is another's we can only read by our group: so Kubernetes mounts secrets, root's with the pod's group
    forbidden = stat.S_IRWXO | (stat.S_IRWXG if about.st_uid == os.geteuid() else 0)
    if about.st_mode & forbidden:
        mode = stat.S_IMODE(about.st_mode)
        raise BundleError(f"{named} may be read by others (mode {mode:o}): chmod 600 {file}")
