"""A store for podman and buildah of one check's own: it neither meets nor leaves anything in the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

VARIABLE = "CONTAINERS_STORAGE_CONF"


def own(folder: Path) -> bool:
    """Use a store in this folder from now on, unless the caller has chosen one; whether it is used."""
    if os.environ.get(VARIABLE):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    places = {"graphroot": folder / "store", "runroot": folder / "run"}
    lines = [f'{name} = "{place.resolve()}"' for name, place in places.items()]
    (folder / "storage.conf").write_text("\n".join(["[storage]", 'driver = "overlay"', *lines, ""]))
    os.environ[VARIABLE] = str((folder / "storage.conf").resolve())
    return True


def remove(folder: Path) -> None:
    """Remove the store in this folder: its containers, its images, what is mounted in it."""
    for words in (("rm", "--all", "--force"), ("rmi", "--all", "--force")):
        subprocess.run(["podman", *words], capture_output=True)
    inside = str(folder.resolve())
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounted if place.startswith(f"{inside}/")), reverse=True):
        subprocess.run(["umount", place], capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
