"""Files that only the server's user may read: secrets that it is given, and what it writes itself."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from bundle import BundleError

UMASK = 0o077  # of every process of a server, so that only their user reads their logs
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check(file: Path, named: str) -> None:
    """Check that only the server can read a secret, and that no other user can replace it.

    Args:
        file: the secret.
        named: how it was requested, as in `TOKENS=file`, for the message.

    Raises:
        BundleError: other users may read it, write it, or write to its folder.
        OSError: it does not exist.
    """
    about = file.stat()
    # another user's file is readable only through our group: Kubernetes mounts secrets so, root's with the pod's group
    forbidden = stat.S_IRWXO | (stat.S_IRWXG if about.st_uid == os.geteuid() else 0)
    if about.st_mode & forbidden:
        mode = stat.S_IMODE(about.st_mode)
        raise BundleError(f"{named} may be read by other users (mode {mode:o}): chmod 600 {file}")
    # a link's folder, and its target's
    for folder in dict.fromkeys((file.absolute().parent, file.resolve().parent)):
        _check_folder(folder, named)


def _check_folder(folder: Path, named: str) -> None:
    for each in (folder, *folder.parents):
        about = each.stat()
        others = about.st_mode & _OTHERS_WRITE
        # in a sticky folder such as /tmp others cannot rename our folders; but they could create our next draft file
        if not others or (each != folder and about.st_mode & stat.S_ISVTX):
            continue
        if read_only(each):  # as Kubernetes mounts secrets: mode 1777, and read-only
            continue
        mode = stat.S_IMODE(about.st_mode)
        raise BundleError(
            f"{named} can be replaced by other users, who may write to {each} (mode {mode:o}): chmod go-w it, or move "
            "the file to a folder of your own"
        )


def read_only(folder: Path) -> bool:
    """Whether nobody can write to a folder by its path, whatever its mode: it is mounted so."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def folder(path: Path) -> Path:
    """Create a folder that only its owner may enter, or restrict one that exists.

    Raises:
        BundleError: it is another user's.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = path.stat().st_uid
    if owner == os.geteuid():
        path.chmod(0o700)
    elif owner != 0:  # root's is a volume mounted into a container
        raise BundleError(f"the folder {path} belongs to another user: choose one of your own")
    return path


def write(file: Path, content: str | bytes) -> None:
    """Write a file that only its owner may read, completely or not at all, even if the power fails."""
    draft = file.with_name(f"{file.name}.new")
    with open(draft, "wb", opener=_only_mine) as out:  # Path.open has no opener
        out.write(content.encode() if isinstance(content, str) else content)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    with contextlib.suppress(OSError):  # not every file system supports it
        handle = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _only_mine(path: str, flags: int) -> int:
    with contextlib.suppress(FileNotFoundError):  # an existing one would keep its mode
        os.unlink(path)  # noqa: PTH108
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
