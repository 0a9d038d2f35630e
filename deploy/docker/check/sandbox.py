"""Run a command in a folder as its root, with this machine's system folders read-only beside it: no container engine.

Linux namespaces, through util-linux' `unshare`: a mount and a process namespace for each command, so that it is process
1 and sees no file of this machine but those of its system folders, and no Java. It stands in for a container; it does
not keep an attacker in, and shares the network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "etc", "opt")
# $1 the root, $2 ro or rw, $3 user:group or empty, $4 the working folder, $5 a file to hide or empty; pairs of a folder
# and its place, until --; then the command
SCRIPT = """
root=$1 mode=$2 who=$3 where=$4 hidden=$5; shift 5
mount --make-rprivate /
if [ -n "$hidden" ]; then mount --bind /dev/null "$hidden"; fi
mount --bind "$root" "$root"
for name in $SYSTEM; do
    if [ -d "$root/$name" ] && [ ! -L "$root/$name" ]; then
        mount --rbind "/$name" "$root/$name"
        mount -o remount,bind,ro "$root/$name"
    fi
done
for device in null zero random urandom; do mount --bind /dev/$device "$root/dev/$device"; done
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=4g,mode=1777,nosuid,nodev tmpfs "$root/tmp"
mount -t tmpfs -o size=1g,mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; shift 2; done; shift
if [ "$mode" = ro ]; then mount -o remount,bind,ro "$root"; fi
exec chroot ${who:+--userspec="$who" --groups=} "$root" /usr/bin/env --chdir="$where" "$@"
"""


def available() -> bool:
    """Whether the caller may create namespaces on this machine."""
    command = [*unshare(), "mount", "--make-rprivate", "/"]
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


def unshare() -> list[str]:
    mapped = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *mapped, "--mount", "--pid", "--fork", "--kill-child"]


def make_root(root: Path) -> None:
    """An empty root: links where the system has links, and folders to mount on."""
    for name in (*SYSTEM, "dev", "dev/shm", "proc", "tmp"):
        real = Path("/") / name
        if real.is_symlink():
            (root / name).symlink_to(real.readlink())
        elif real.is_dir():
            (root / name).mkdir(parents=True, exist_ok=True)
    for device in ("null", "zero", "random", "urandom"):
        (root / "dev" / device).touch()


def command(
    root: Path,
    words: Sequence[str],
    where: str,
    variables: Mapping[str, str],
    user: str = "",
    read_only: bool = False,
    mounts: Mapping[str, Path] | None = None,
    java: bool = False,
) -> list[str]:
    """The command that starts a program in the root.

    Args:
        root: made by `make_root`.
        words: the program, as a path of the root or a name on PATH, and its arguments.
        where: its working folder, in the root.
        variables: its whole environment.
        user: `uid:gid`, of numbers; empty for root. Only root can give up being root for another.
        read_only: nothing but /tmp and /dev/shm can be written to.
        mounts: folders of this machine, read-only, by their place in the root, which must be there.
        java: whether this machine's own Java is seen; slim images have none.
    """
    shell = shutil.which("sh")
    assert shell, "a system without sh"
    given = [word for place, real in (mounts or {}).items() for word in (str(real.resolve()), place)]
    setting = [f"{name}={value}" for name, value in variables.items()]
    who = user if os.geteuid() == 0 else ""
    script = ["env", f"SYSTEM={' '.join(SYSTEM)}", shell, "-euc", SCRIPT, "sandbox"]
    found = shutil.which("java")
    hidden = str(Path(found).resolve()) if found and not java else ""
    options = [str(root.resolve()), "ro" if read_only else "rw", who, where, hidden, *given, "--"]
    return [*unshare(), *script, *options, "--ignore-environment", *setting, *words]
