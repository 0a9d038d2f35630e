"""The model store: the next start serves `NAME.mar`; `NAME-VERSION.mar` are versions that a roll-out keeps.

Which version serves is state of the store: `.NAME.promoted` records what the last roll-out made it. Every step of a
promotion is idempotent, and the next `promoted` completes one that was killed in between.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bundle import private

STORE = Path("model_store")
KERNELS = ".kernels"  # what workers measured on this machine, see speaker_id.encoder.plans
CHECKPOINT_FOLDER = "checkpoint"
MODEL_CONFIG_FILE = "model-config.yaml"
TRITON_FILE = "triton_model.py"  # Triton's adapter
MANIFEST = "MAR-INF/MANIFEST.json"  # torch-model-archiver's own: name and version


@dataclass(frozen=True)
class Promoted:
    """The record of a promotion.

    Attributes:
        version: what `NAME.mar` holds since then.
        declared: the version of model.yaml at that time. The promoted version serves until that changes.
    """

    version: str
    declared: str


def of_version(store: Path, name: str, version: str) -> Path:
    """Where a version's archive is kept beside the one that the next start serves, for a roll-out or a roll-back."""
    return store / f"{name}-{version}.mar"


def contents(mar: Path) -> tuple[str, str] | None:
    """Name and version that an archive states; None if it does not exist, or is not an archive."""
    try:
        with zipfile.ZipFile(mar) as archive:
            model = json.loads(archive.read(MANIFEST))["model"]
            return str(model["modelName"]), str(model["modelVersion"])
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
        return None


def version_of(mar: Path) -> str | None:
    """The version that an archive states; None if it does not exist, or is not an archive."""
    found = contents(mar)
    return found[1] if found else None


def keep(store: Path, name: str, new: str) -> None:
    """Before `NAME.mar` becomes another version, make sure that the one that it holds is kept."""
    current = store / f"{name}.mar"
    held = version_of(current)
    if held is not None and held != new and not (kept := of_version(store, name, held)).exists():
        os.link(current, kept)  # not a copy: archives are large, and never written to


def promote(store: Path, name: str, new: str, declared: str) -> None:
    """Make a version's archive the one that the next start serves, and keep the current one's for a roll-back.

    Args:
        declared: the version of the model's model.yaml.
    """
    keep(store, name, new)
    draft = _linked(store, name, new)  # before the record, since a full disk refuses it
    private.write(_record(store, name), json.dumps(asdict(Promoted(new, declared))))
    draft.replace(store / f"{name}.mar")
    _mark(store, name, new).unlink(missing_ok=True)


def promoted(store: Path, name: str) -> Promoted | None:
    """The last promotion of a model, completed now if it was killed in between. None if there was none."""
    try:
        record = Promoted(**json.loads(_record(store, name).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    current = store / f"{name}.mar"
    if version_of(current) != record.version:
        if version_of(of_version(store, name, record.version)) != record.version:
            return None  # it was removed
        keep(store, name, record.version)
        _linked(store, name, record.version).replace(current)
    _mark(store, name, record.version).unlink(missing_ok=True)
    return record


def forget(store: Path, name: str) -> None:
    """Forget the promotion: from now on `NAME.mar` follows model.yaml."""
    _record(store, name).unlink(missing_ok=True)


def forget_all(store: Path) -> None:
    """Forget the promotions of every model, and which archives belong to a roll-out."""
    for pattern in (".*.promoted", ".*.draft"):
        for file in store.glob(pattern):
            file.unlink()


def mark(store: Path, name: str, version: str) -> None:
    """Record that a version's archive belongs to a roll-out, and is removed with it unless it is promoted."""
    _mark(store, name, version).touch(mode=0o600)


def marked(store: Path, name: str, version: str) -> bool:
    return _mark(store, name, version).exists()


def discard(store: Path, name: str, version: str) -> None:
    """Remove the archive that a roll-out made and did not promote, so that its version number can be used again."""
    record = promoted(store, name)
    if marked(store, name, version) and (record is None or record.version != version):
        of_version(store, name, version).unlink(missing_ok=True)
        _mark(store, name, version).unlink(missing_ok=True)


def needed(mar: Path) -> bool:
    """Whether an archive must be kept, as it cannot be rebuilt: a roll-out promoted, replaced or was given it."""
    found = contents(mar)
    if found is None:
        return False
    name, version = found
    if mar == of_version(mar.parent, name, version):
        return not marked(mar.parent, name, version)
    return mar.stem == name and promoted(mar.parent, name) is not None


def _record(store: Path, name: str) -> Path:
    return store / f".{name}.promoted"


def _mark(store: Path, name: str, version: str) -> Path:
    return store / f".{name}-{version}.draft"


def _linked(store: Path, name: str, version: str) -> Path:
    draft = store / f".{name}.mar.new"
    draft.unlink(missing_ok=True)
    os.link(of_version(store, name, version), draft)
    return draft
