"""The archives under fault: the demo model as shipped, the same around faulty_worker.py, and two that are corrupt."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

from bundle import archive, sources, store
from bundle.spec import ModelSpec
from measure import ROOT
from measure.chaos import BUILD

DEMO, FAULTY = "demo", "faulty"
FAULTY_WORKER = Path(__file__).with_name("faulty_worker.py")
FAULTY_ENCODER = Path(__file__).with_name("faulty_encoder.py")
RESPONSE_TIMEOUT = 4  # seconds: the shortest that honest batches keep on a busy machine
BATCH_DELAY = 100  # ms: long enough for clips that are sent at once to come into one batch
WEIGHTS = f"{store.CHECKPOINT_FOLDER}/model.safetensors"


STORE = BUILD / "store"


def build(store: Path = STORE) -> list[ModelSpec]:
    """Both models' archives in the store; leaves those alone that are up to date.

    Raises:
        BundleError: an archive cannot be built.
    """
    demo = sources.resolve(DEMO, root=ROOT / "models")
    settings = demo.torchserve.model_copy(
        update={"responseTimeout": RESPONSE_TIMEOUT, "maxBatchDelay": BATCH_DELAY}
    )
    altered = demo.model_copy(update={"name": FAULTY, "torchserve": settings})
    archive.build(demo, store)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        archive.build(altered, store, handler=faulty(Path(folder) / "handler"))
    return [demo, altered]


def faulty(folder: Path) -> Path:
    """A folder like handler/, where what the adapters share is faulty, with the shipped module behind it."""
    shutil.copytree(archive.HANDLER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    core = folder / archive.CORE_PACKAGE
    (folder / archive.WORKER_FILE).rename(core / "shipped.py")
    shutil.copy(FAULTY_WORKER, folder / archive.WORKER_FILE)
    shutil.copy(FAULTY_ENCODER, core)
    return folder


def cut_short(mar: Path, target: Path) -> None:
    """The first half, as an interrupted download leaves it."""
    target.write_bytes(mar.read_bytes()[: mar.stat().st_size // 2])


def tampered(mar: Path, target: Path) -> None:
    """A copy that is a whole zip file, with one bit of its weights changed."""
    with zipfile.ZipFile(mar) as whole, zipfile.ZipFile(target, "w") as copy:
        for entry in whole.infolist():
            content = bytearray(whole.read(entry))
            if entry.filename == WEIGHTS:
                content[-1] ^= 1
            copy.writestr(entry, bytes(content))
