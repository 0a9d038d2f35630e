"""Weights that a platform mounts: archives of ours, served as they are, or a checkpoint, converted at the start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speaker_id.manifest import CONFIG_FILE

from bundle import BundleError, archived, private, sources
from bundle.spec import SPEC_FILE, ModelSpec
from serving.host import scratch
from serving.host.leash import Leashed

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mounted:
    """What is served of a mounted folder.

    Attributes:
        specs: the models.
        store: where their archives are, or will be once `convert` was called.
        checkpoint: the folder to convert; None if the archives are there.
    """

    specs: list[ModelSpec]
    store: Path
    checkpoint: Path | None = None

    def convert(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Make the store's archive of the checkpoint. In a process of its own, whose gigabytes end with it.

        Raises:
            BundleError: why it cannot be converted.
        """
        if self.checkpoint is None:
            return
        private.folder(self.store)
        with tempfile.TemporaryDirectory(prefix=f"{scratch.PREFIX}weights-") as checkpoints:
            command = [sys.executable, "-m", "serving.archive", "--model", str(self.checkpoint)]
            command += [
                "--store",
                str(self.store),
                "--checkpoints",
                checkpoints,
                "--name",
                self.specs[0].name,
            ]
            paths = os.pathsep.join((str(ROOT), str(ROOT / "handler")))
            given = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
            last = ""
            with Leashed(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
                try:
                    assert child.stdout
                    for line in child.stdout:
                        last = line.decode("utf-8", "replace").strip()
                        say(last)
                    child.wait()
                finally:
                    child.kill()
                    child.release()
        if child.returncode:
            raise BundleError(f"the weights in {self.checkpoint} cannot be served: {last}")


def read(given: str, run: Path, name: str = "") -> Mounted:
    """What is in a folder of weights, or in its only sub-folder.

    Args:
        given: its path, as a platform gives it.
        run: the server's folder, where a checkpoint's archive will be.
        name: what a checkpoint is served as; empty for its folder's name.

    Raises:
        BundleError: it is no folder, or holds neither archives nor a checkpoint.
    """
    if "://" in given:
        raise BundleError(
            f"the weights {given} are not on this machine, and nothing is fetched at start: mount them and give the "
            "folder, or build them into the image and leave the platform's model location empty"
        )
    folder = _deepest(Path(given).absolute())
    if any(folder.glob("*.mar")):
        return Mounted(archived.read_store(folder), folder)
    if not any((folder / name).is_file() for name in (SPEC_FILE, CONFIG_FILE)):
        raise BundleError(
            f"the weights {given} hold neither an archive NAME.mar nor a checkpoint in Hugging Face's layout "
            f"({CONFIG_FILE}, preprocessor_config.json and the weights)"
        )
    spec = sources.resolve(str(folder))
    for part in [spec.of_head(each) for each in spec.heads] or [spec]:
        if part.folder is None:
            raise BundleError(
                f"{folder / SPEC_FILE} names {part.source} on the hub, and nothing is fetched at start: put the "
                "checkpoint beside it, and write source: ., or the folder of a head"
            )
    spec = sources.with_name(spec, name, f"--name {name}")
    return Mounted([spec], run / "model_store", folder)


def _deepest(folder: Path) -> Path:
    """Past folders that hold one folder and nothing else, as some platforms and archivers add them."""
    try:
        while len(held := [each for each in folder.iterdir() if not each.name.startswith(".")]) == 1:
            if not held[0].is_dir():
                break
            folder = held[0]
    except OSError as exc:
        raise BundleError(f"the weights {folder} cannot be read: {exc.strerror}") from exc
    return folder
