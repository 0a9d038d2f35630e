"""Checkpoint + handler → `model_store/NAME.mar`, by torch-model-archiver; rebuilt only when something changed.

The archive's root: the servers' adapters and what they share (ADAPTER_FILES), speaker_id/, checkpoint/,
model-config.yaml, inputs.sha256. TorchServe loads it as it is; `bundle.repository` makes Triton's form of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from speaker_id.manifest import (
    GUARD_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
    CheckpointError,
    FileRecord,
    Manifest,
    verify,
)

from bundle import BundleError, galleries, store
from bundle.layout import laid_out
from bundle.repeatable import same_bytes
from bundle.spec import SPEC_FILE, ModelSpec
from bundle.terminal import say

if TYPE_CHECKING:
    from bundle.fetch import Fetched

CHECKPOINTS = Path("build/checkpoints")
HANDLER = Path(__file__).parent.parent / "handler"

HANDLER_FILE = "speaker_handler.py"
WORKER_FILE = "speaker_worker.py"  # what the adapters share
ADAPTER_FILES = (
    HANDLER_FILE,
    store.TRITON_FILE,
    "triton_metrics.py",
    WORKER_FILE,
    "speaker_telemetry.py",
)
CORE_PACKAGE = "speaker_id"
LOCK, STAGING = ".archive.lock", ".archive-"
INPUTS_FILE = "inputs.sha256"  # one hash over all inputs


def prepare(spec: ModelSpec, root: Path = CHECKPOINTS, calibration: Path | None = None) -> Path:
    """Fetch, convert and check the precision; return the checkpoint folder, an earlier one if its sources are the same.

    Raises:
        BundleError: says what is wrong and what to do.
    """
    target = combined(spec, root) if spec.heads else converted(spec, root)
    if spec.speaker_id.precision != "fp32":
        from bundle import precision

        with _alone(target):
            precision.check_agreement(target, spec.speaker_id, spec.min_agreement, calibration)
    return target


def converted(spec: ModelSpec, root: Path, backbone: Path | None = None) -> Path:
    """Fetch and convert one checkpoint; `backbone` completes source files that hold a head only."""
    # here, not above: a command that only lists archives needs no hub client
    from bundle.fetch import fetch

    if spec.unknown is not None and not spec.unknown.file.is_file():
        raise BundleError(
            f"{spec.name}: unknown: there is no {spec.unknown.file.name} beside its {SPEC_FILE}: `make guard` makes it"
        )
    fetched = fetch(spec)
    above = "" if backbone is None else f"-{backbone.name.rpartition('-')[2]}"
    target = root / f"{spec.name}-{_source_id(fetched)}{above}"
    with _alone(target):
        if not _is_current(target, spec, fetched):
            # Here, not above: torch and transformers take seconds to import, and an unchanged model needs neither.
            from bundle.convert import convert

            convert(fetched, spec, target, backbone)
    return target


def combined(spec: ModelSpec, root: Path) -> Path:
    """Fetch and convert the checkpoints of several heads, and make one of them, with one backbone."""
    from bundle import heads

    parts: dict[str, Path] = {}
    for name in spec.heads:
        parts[name] = converted(spec.of_head(name), root, next(iter(parts.values()), None))
    target = root / f"{spec.name}-{heads.identity(spec, parts)}"
    with _alone(target):
        try:
            verify(target)
        except CheckpointError:
            heads.combine(spec, parts, target)
    return target


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Two builds at once: the second waits, then finds it done. Removes what a killed one left."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / f".{target.name}.lock"):
        for left in target.parent.glob(f".{target.name}.*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        yield


def build(
    spec: ModelSpec,
    folder: Path = store.STORE,
    handler: Path = HANDLER,
    checkpoints: Path = CHECKPOINTS,
    calibration: Path | None = None,
    file: Path | None = None,
) -> Path:
    """Build `store/NAME.mar` and return its path; an archive of the same inputs is left as it is.

    Args:
        spec: what to serve, from `bundle.sources.resolve`.
        folder: the model store; created if it does not exist.
        handler: folder with the adapter, what it shares with others, and the package speaker_id.
        checkpoints: where converted checkpoints are kept.
        calibration: clips that a precision below fp32 is checked on; see `bundle.precision.check_agreement`.
        file: what to write instead of `store/NAME.mar`, in the store.

    Raises:
        BundleError: says what is wrong and what to do.
    """
    checkpoint = prepare(spec, checkpoints, calibration)
    spec = laid_out(spec, checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    mar = file or folder / f"{spec.name}.mar"
    # one build at a time, so that leftovers of another build are a killed one's; in the store, since the last step is
    # a rename
    with FileLock(folder / LOCK), _temporary(folder, STAGING) as temporary:
        stage = temporary / "stage"
        _stage(stage, spec, handler, checkpoint)
        inputs = _digest(stage, spec)
        if _inputs_of(mar) == inputs:
            say(f"{spec.name}: {mar} is up to date")
            return mar
        if spec.gallery:
            galleries.check(spec, spec.gallery, checkpoint, calibration)
        (stage / INPUTS_FILE).write_text(inputs + "\n")
        started = time.monotonic()
        made = _pack(temporary, stage, spec)
        if file is None:
            store.keep(folder, spec.name, spec.version)
        made.replace(mar)
    seconds = time.monotonic() - started
    say(f"{spec.name}: packed {mar} ({mar.stat().st_size / 1e6:.1f} MB) in {seconds:.1f} s")
    return mar


@contextmanager
def _temporary(folder: Path, prefix: str) -> Iterator[Path]:
    """A temp folder beside what is made in it; removes those that killed builds left there."""
    for left in folder.glob(f"{prefix}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as temporary:
        yield Path(temporary)


def _source_id(fetched: Fetched) -> str:
    """Twelve digits that identify the source: of its commit, or of a hash over its files."""
    if fetched.revision is not None:
        return fetched.revision[:12]
    hashes = "".join(f"{name}:{record.sha256}\n" for name, record in sorted(fetched.files.items()))
    return hashlib.sha256(hashes.encode()).hexdigest()[:12]


def _is_current(target: Path, spec: ModelSpec, fetched: Fetched) -> bool:
    """Whether an earlier conversion is complete and was made from these files for this model."""
    try:
        manifest = verify(target)
    except CheckpointError:
        return False
    labels = FileRecord.of(spec.labels) if spec.labels is not None else None
    guard = FileRecord.of(spec.unknown.file) if spec.unknown is not None else None
    return (
        manifest.source_files == fetched.files
        and manifest.files.get(LABELS_FILE) == labels
        and manifest.files.get(GUARD_FILE) == guard
        and manifest.guard == spec.guard_card()
        and _card(manifest)
        == (spec.name, spec.source, fetched.revision, spec.licence, spec.description, spec.demo)
    )


def _card(manifest: Manifest) -> tuple[object, ...]:
    return (
        manifest.name,
        manifest.source,
        manifest.revision,
        manifest.licence,
        manifest.description,
        manifest.demo,
    )


def _stage(stage: Path, spec: ModelSpec, handler: Path, checkpoint: Path) -> None:
    """Lay out the archive's root. Links, not copies: the archiver copies every file anyway."""
    for file in (
        *(handler / name for name in ADAPTER_FILES),
        *_modules(handler / CORE_PACKAGE),
    ):
        place = stage / file.relative_to(handler)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file.resolve())
    (stage / store.CHECKPOINT_FOLDER).mkdir()
    for file in checkpoint.iterdir():
        (stage / store.CHECKPOINT_FOLDER / file.name).symlink_to(file.resolve())
    if spec.gallery:
        galleries.add(spec.gallery, spec.speaker_id, stage / store.CHECKPOINT_FOLDER)
    (stage / store.MODEL_CONFIG_FILE).write_text(spec.model_config_yaml(), encoding="utf-8")


def _modules(package: Path) -> Iterator[Path]:
    """Only the package's sources: no __pycache__, no egg-info, no editor's files."""
    yield from sorted(package.rglob("*.py"))


def _digest(stage: Path, spec: ModelSpec) -> str:
    """One hash over everything staged; the manifest stands for the checkpoint, which `prepare` has verified."""
    total = hashlib.sha256(f"{spec.name} {spec.version} {version('torch-model-archiver')}\n".encode())
    for path in sorted(stage.rglob("*")):
        if path.is_file() and (path.parent.name != store.CHECKPOINT_FOLDER or path.name == MANIFEST_FILE):
            total.update(f"{path.relative_to(stage).as_posix()} {FileRecord.of(path).sha256}\n".encode())
    return total.hexdigest()


def _inputs_of(mar: Path) -> str | None:
    try:
        with zipfile.ZipFile(mar) as archive:
            return archive.read(INPUTS_FILE).decode().strip()
    except (OSError, KeyError, zipfile.BadZipFile):
        return None


def _pack(temporary: Path, stage: Path, spec: ModelSpec) -> Path:
    """Run torch-model-archiver. It stages in TMPDIR/NAME, so each run has a TMPDIR of its own.

    Paths are relative to its working directory: it splits absolute ones, which may hold a comma, at commas.
    """
    scratch, exported = temporary.resolve() / "tmp", temporary / "out"
    scratch.mkdir()
    exported.mkdir()
    command = [sys.executable, "-m", "model_archiver.model_packaging", "--model-name", spec.name]
    command += ["--version", spec.version, "--handler", f"{stage.name}/{HANDLER_FILE}"]
    command += ["--extra-files", stage.name, "--config-file", f"{stage.name}/{store.MODEL_CONFIG_FILE}"]
    # stored, not deflated: trained weights hardly shrink, while packing, and unpacking at each start, would take longer
    command += ["--archive-format", "zip-store", "--export-path", exported.name]
    say(f"{spec.name}: packing")
    done = subprocess.run(
        command,
        cwd=temporary,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
    )
    made = exported / f"{spec.name}.mar"
    if done.returncode != 0 or not made.is_file():
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise BundleError(f"torch-model-archiver failed for {spec.name}: {lines[-1]}")
    same_bytes(made)
    return made
