"""Another version of this repository to measure beside this one: a folder, or a commit unpacked into one."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT, MeasureError

THIS, OTHER = "this", "other"


@dataclass(frozen=True)
class Checkout:
    """Of this repository."""

    name: str
    path: Path


@contextlib.contextmanager
def checkouts(against: str) -> Iterator[list[Checkout]]:
    """This one and, where one is named, the other, for the length of the block.

    Args:
        against: a folder, or a commit as git names it; empty for this checkout alone.

    Raises:
        MeasureError: it is neither.
    """
    this = Checkout(THIS, ROOT)
    if not against:
        yield [this]
    elif Path(against).is_dir():
        yield [this, Checkout(OTHER, Path(against).resolve())]
    else:
        with tempfile.TemporaryDirectory(prefix="checkout-") as folder:
            unpack(against, Path(folder))
            yield [this, Checkout(OTHER, Path(folder))]


def shown(against: str) -> str:
    """What a page says of it: where a folder is on this machine says nothing to its readers."""
    return Path(against).resolve().name if against and Path(against).is_dir() else against


def unpack(commit: str, folder: Path) -> None:
    """Write a commit's files into a folder; git keeps no record of it, as it would of a working tree."""
    command = ["git", "archive", "--format=tar", f"{commit}^{{commit}}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    if done.returncode != 0:
        raise MeasureError(f"--against {commit} is neither a folder nor a commit of this repository")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        files.extractall(folder, filter="data")
