"""The names of a checkpoint's labels: one a logit, in order, unambiguous, and for display where a file gives them.

Every fault raises CheckpointError.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from speaker_id.calibrated import UNKNOWN
from speaker_id.gallery_manifest import read_manifest
from speaker_id.manifest import (
    CONFIG_FILE,
    LABELS_FILE,
    CheckpointError,
    Manifest,
    check_config,
    is_xvector,
)
from speaker_id.settings import Settings


def by_head(folder: Path, manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Return the labels of each classifier of a checkpoint of several heads, in the order of the logits.

    A head of several classifiers has one entry for each, as in `intent.action`; an x-vector has none.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, card in manifest.heads.items():
        config = check_config((folder / card.config).read_bytes())
        if is_xvector(config):
            continue
        id2label = {int(index): label for index, label in config["id2label"].items()}
        labels = load(id2label, len(id2label), card.groups, folder / card.labels if card.labels else None)
        rest = iter(labels)
        groups = {f"{name}.{group}": count for group, count in card.groups.items()} or {name: len(labels)}
        found |= {part: tuple(islice(rest, count)) for part, count in groups.items()}
    return found


def classifiers(folder: Path, manifest: Manifest, heads: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each classifier of any checkpoint; "" for the only one without a name.

    Args:
        heads: labels of each classifier, where several share one model's vector of logits.
    """
    if manifest.heads:
        return by_head(folder, manifest)
    config = check_config((folder / CONFIG_FILE).read_bytes())
    if is_xvector(config):
        return {}
    id2label = {int(index): label for index, label in config["id2label"].items()}
    rest = iter(load(id2label, len(id2label), heads, folder / LABELS_FILE))
    return {head: tuple(islice(rest, count)) for head, count in (heads or {"": len(id2label)}).items()}


def answered(folder: Path, manifest: Manifest, settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the labels of each head of the answer: those of open sets are among them."""
    found = classifiers(folder, manifest, settings.closed_heads)
    for head, kind in settings.open_sets.items():
        if kind == "guard":
            found[head] = (*found[head], UNKNOWN)
    if manifest.gallery is not None:
        found[manifest.gallery.head] = read_manifest(folder / manifest.gallery.file).labels
    return found


def load(
    id2label: Mapping[int, str], outputs: int, heads: Mapping[str, int], display: Path | None
) -> tuple[str, ...]:
    """Return what to answer for each logit, in the logits' order.

    Args:
        id2label: the config's, by the logit's index.
        outputs: how many logits the classifier has.
        heads: labels of each classifier, where several share the vector of logits; else empty.
        display: CSV file of display names, if there is one; it need not exist.
    """
    if heads:
        check_heads(heads, outputs)
    labels = in_order(id2label, outputs)
    check_unique(labels, heads, "id2label")
    if display is not None and display.is_file():
        labels = display_names(display, labels)
        check_unique(labels, heads, display.name)
    return labels


def in_order(id2label: Mapping[int, str], outputs: int) -> tuple[str, ...]:
    """Return `id2label` in the order of the logits; every index must be there."""
    if set(id2label) != set(range(outputs)):
        raise CheckpointError(
            f"id2label has {len(id2label)} entries; the classifier's {outputs} outputs need 0 to {outputs - 1}"
        )
    return tuple(str(id2label[index]) for index in range(outputs))


def check_unique(labels: tuple[str, ...], heads: Mapping[str, int], where: str) -> None:
    """Raise CheckpointError for a label that one head has twice; two heads may share one, such as "none"."""
    rest = iter(labels)
    for count in heads.values() or (len(labels),):
        head = tuple(islice(rest, count))
        if len(set(head)) != len(head):
            twice = next(label for label in head if head.count(label) > 1)
            raise CheckpointError(f"{where} gives the label {twice!r} twice; answers would be ambiguous")


def check_heads(heads: Mapping[str, int], outputs: int) -> None:
    if (total := sum(heads.values())) != outputs:
        sizes = ", ".join(f"{name} {count}" for name, count in heads.items())
        raise CheckpointError(f"heads ({sizes}) have {total} labels; the classifier has {outputs} outputs")


def display_names(path: Path, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Replace the labels that the CSV (columns `label`, `name`; UTF-8) lists; the others stay as they are."""
    try:
        # -sig: spreadsheets write a byte order mark
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise CheckpointError(f"{path.name} is not a UTF-8 CSV file: {exc}") from exc
    names: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        label, name = row.get("label"), row.get("name")
        if not label or not name:
            raise CheckpointError(f"{path.name} line {line} lacks a value in the columns label, name")
        if label not in labels:
            raise CheckpointError(f"{path.name} line {line} names {label!r}, which is no label of the model")
        if label in names:
            raise CheckpointError(f"{path.name} line {line} names {label!r} a second time")
        names[label] = name
    return tuple(names.get(label, label) for label in labels)
