"""Files that nobody but the server's user may read: secrets that it is given, and what it writes itself."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from bundle import BundleError

UMASK = 0o077  # of every process of a server, so that their logs are their user's alone
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check(file: Path, named: str) -> None:
    """Hold a secret to modes under which only the server reads it, and nobody else can put another in its place.

    Args:
        file: the secret.
        named: how its user asked for it, as in `TOKENS=file`, for the message.

    Raises:
        BundleError: others may read or write it, or the folder that it is in.
        OSError: it is not there.
    """
    about = file.stat()
    # what is another's we can only read by our group: so Kubernetes mounts secrets, root's with the pod's group
    forbidden = stat.S_IRWXO | (stat.S_IRWXG if about.st_uid == os.geteuid() else 0)
    if about.st_mode & forbidden:
        mode = stat.S_IMODE(about.st_mode)
        raise BundleError(f"{named} may be read by others (mode {mode:o}): chmod 600 {file}")
    # a link's folder, and its target's
    for folder in dict.fromkeys((file.absolute().parent, file.resolve().parent)):
        _check_folder(folder, named)


def _check_folder(folder: Path, named: str) -> None:
    for each in (folder, *folder.parents):
        about = each.stat()
        others = about.st_mode & _OTHERS_WRITE
        # in a sticky folder, as /tmp is, they cannot rename the folders of others; but they could make our next draft
        if not others or (each != folder and about.st_mode & stat.S_ISVTX):
            continue
        if os.statvfs(each).f_flag & os.ST_RDONLY:  # as Kubernetes mounts secrets: mode 1777, and read-only
            continue
        mode = stat.S_IMODE(about.st_mode)
        raise BundleError(
            f"{named} can be replaced by others, who may write to {each} (mode {mode:o}): chmod go-w it, or move the "
            "file to a folder of your own"
        )


def folder(path: Path) -> Path:
    """Make a folder that only its owner may enter; one that is there already becomes so.

    Raises:
        BundleError: it is another user's.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = path.stat().st_uid
    if owner == os.geteuid():
        path.chmod(0o700)
    elif owner != 0:  # root's is a mount that a container was given
        raise BundleError(f"the folder {path} belongs to another user: choose one of your own")
    return path


def write(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all, also where the power fails."""
    draft = file.with_name(f"{file.name}.new")
    with open(draft, "w", encoding="utf-8", opener=_only_mine) as out:  # Path.open has no opener
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _only_mine(path: str, flags: int) -> int:
    with contextlib.suppress(FileNotFoundError):  # one that is there would keep its mode
        os.unlink(path)  # noqa: PTH108
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
