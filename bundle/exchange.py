"""Replace a folder by another in one step, so that whoever opens it finds the old one or the new one, never neither."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2  # Linux, renameat2(2)


def replace(new: Path, target: Path) -> Path | None:
    """Put a folder in the place of another of the same file system.

    Returns:
        Where the old one is now; None if there was none.
    """
    if not target.exists():
        new.rename(target)
        return None
    if not _exchanged(new, target):
        # elsewhere there is a moment without either
        aside = new.with_name(f"{new.name}.old")
        target.rename(aside)
        new.rename(target)
        return aside
    return new


def _exchanged(first: Path, second: Path) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    done = call(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), ctypes.c_uint(RENAME_EXCHANGE))
    return int(done) == 0
