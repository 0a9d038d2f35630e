"""The heads of a model's answers, as its archive's settings name them: its own classifiers, "unknown" of those
that have a guard, and a gallery's voices."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from speaker_id import label_names
from speaker_id.gallery_manifest import read_manifest
from speaker_id.manifest import CheckpointError, Manifest
from speaker_id.settings import Settings

from bundle import BundleError, faults
from bundle.spec import GallerySpec, ModelSpec

CLASSIFIER = "classifier"  # what the only head of a model is called beside a gallery's


def laid_out(spec: ModelSpec, checkpoint: Path) -> ModelSpec:
    """The same model, with the heads of its answers and their numbers of labels in its settings.

    Args:
        checkpoint: the converted checkpoint's folder.

    Raises:
        BundleError: its default head has no labels; its gallery is none, or has the name of another head.
    """
    ours = spec.speaker_id
    try:
        manifest = Manifest.read(checkpoint)
        named = label_names.classifiers(checkpoint, manifest, ours.heads)
        guarded = {head for head, card in manifest.guards().items() if card is not None}
        heads = {head: len(labels) + (head in guarded) for head, labels in named.items()}
        kinds = dict.fromkeys(guarded, "guard")
        if spec.gallery is not None:
            heads, kinds = beside(spec.gallery, heads, kinds)
        given: dict[str, object] = {
            "heads": {head: count for head, count in heads.items() if head},
            "open_sets": kinds,
        }
        if spec.gallery is not None and "" in named and not ours.default_head:
            given["default_head"] = CLASSIFIER  # it keeps answering callers who name no heads
        settings = Settings.model_validate({**ours.model_dump(), **given})
        settings.check_default_head(heads)
    except ValidationError as exc:
        raise BundleError(f"{spec.name}: {faults.words(exc)}") from exc
    except (CheckpointError, ValueError) as exc:
        raise BundleError(f"{spec.name}: {exc}") from exc
    return spec.model_copy(update={"heads": {}, "speaker_id": settings})


def beside(
    gallery: GallerySpec, heads: dict[str, int], kinds: dict[str, str]
) -> tuple[dict[str, int], dict[str, str]]:
    """Add a gallery's head to the model's own, or make it the only one, without a name, of a model without labels.

    Returns:
        Labels of each head, and what kind of open set it is where it is one.

    Raises:
        BundleError, CheckpointError: a head has its name; it is no gallery.
    """
    count = len(read_manifest(gallery.file).labels)
    if not heads:
        return {"": count}, {"": "gallery"}
    own = {head or CLASSIFIER: size for head, size in heads.items()}
    if any(gallery.head in (head, head.split(".")[0]) for head in own):
        raise BundleError(
            f"the model has a head {gallery.head!r}: give the gallery's another name, "
            "gallery: {file: …, head: name} in model.yaml"
        )
    opened = {head or CLASSIFIER: kind for head, kind in kinds.items()}
    return {**own, gallery.head: count}, {**opened, gallery.head: "gallery"}
