"""Archive → what to serve, for a server that has archives but no model.yaml and no checkpoint."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pydantic import ValidationError
from speaker_id import label_names
from speaker_id.manifest import MANIFEST_FILE, Manifest

from bundle import BundleError, faults, store
from bundle.spec import ModelSpec
from bundle.store import CHECKPOINT_FOLDER, MODEL_CONFIG_FILE

TEXTS = (".json", ".csv")


def read_store(folder: Path) -> list[ModelSpec]:
    """The models of a folder's archives with the settings that each was built with, sorted by name.

    Raises:
        BundleError: no such folder, no archive in it, or one that `bundle.archive` did not build.
    """
    try:
        archives = sorted(file for file in folder.iterdir() if file.suffix == ".mar" and not _kept(file))
    except OSError as exc:
        raise BundleError(f"the folder of archives {folder} cannot be read: {exc.strerror}") from exc
    specs = [read(mar) for mar in archives]
    if not specs:
        raise BundleError(
            f"there is no archive NAME.mar in {folder}: make one with `make archive MODEL=NAME`"
        )
    return specs


def _kept(mar: Path) -> bool:
    """Whether a roll-out keeps this version beside the one that serves."""
    found = store.contents(mar)
    return found is not None and mar == store.of_version(mar.parent, *found)


def read(mar: Path) -> ModelSpec:
    """The settings that an archive was built with.

    Raises:
        BundleError: it is not an archive, not one of ours, or stored under another name than its own.
    """
    spec = read_any(mar)
    if spec.name != mar.stem:  # TorchServe takes the name from the file, the gateway from here
        raise BundleError(f"{mar} holds the model {spec.name}: rename it to {spec.name}.mar")
    return spec


def read_any(mar: Path) -> ModelSpec:
    """The same of an archive under any name, such as that of a version which a roll-out keeps."""
    try:
        with zipfile.ZipFile(mar) as archive:
            packed = json.loads(archive.read(store.MANIFEST))["model"]
            config: dict[str, Any] = yaml.safe_load(archive.read(MODEL_CONFIG_FILE))
            card = Manifest.model_validate_json(archive.read(f"{CHECKPOINT_FOLDER}/{MANIFEST_FILE}"))
        ours = config.pop("speaker_id")
        spec = ModelSpec.model_validate(
            {
                "name": packed["modelName"],
                "version": packed["modelVersion"],
                "source": card.source,
                "revision": card.revision,
                "licence": card.licence,
                "description": card.description,
                "demo": card.demo,
                "torchserve": config,
                "speaker_id": ours,
            }
        )
    except OSError as exc:
        raise BundleError(f"{mar} cannot be read: {exc.strerror}") from exc
    except zipfile.BadZipFile as exc:
        raise BundleError(f"{mar} is not a readable archive: build it again") from exc
    except ValidationError as exc:
        raise BundleError(
            f"{mar}: {faults.words(exc)}: build it again, with this version of the bundle"
        ) from exc
    except (KeyError, AttributeError, TypeError, ValueError, yaml.YAMLError) as exc:
        raise BundleError(f"{mar} was not built by `make archive`: build it again") from exc
    return spec


def manifest(mar: Path) -> Manifest:
    """The checkpoint's manifest in an archive.

    Raises:
        BundleError: it is not one of ours.
    """
    try:
        with zipfile.ZipFile(mar) as archive:
            return Manifest.model_validate_json(archive.read(f"{CHECKPOINT_FOLDER}/{MANIFEST_FILE}"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{mar} was not built by `make archive`: build it again") from exc


def labels(mar: Path) -> dict[str, tuple[str, ...]]:
    """The labels of each head of an archive's answers, "" for the only one without a name.

    Raises:
        BundleError, CheckpointError: it is not one of ours.
    """
    card, spec = manifest(mar), read_any(mar)
    voices = [card.gallery.file] if card.gallery else []
    with TemporaryDirectory() as folder, zipfile.ZipFile(mar) as archive:
        for name in archive.namelist():  # all but the weights
            path = Path(name)
            if path.parent.name == CHECKPOINT_FOLDER and (path.suffix in TEXTS or path.name in voices):
                archive.extract(name, folder)
        return label_names.answered(Path(folder) / CHECKPOINT_FOLDER, card, spec.speaker_id)
