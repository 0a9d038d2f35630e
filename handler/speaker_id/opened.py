"""The open sets of a checkpoint: each is read, and is of this model or ends the start."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from speaker_id import gallery, guard
from speaker_id.checkpoint import Checkpoint
from speaker_id.gallery import Gallery
from speaker_id.manifest import CheckpointError
from speaker_id.open_set import OpenSet
from speaker_id.settings import Settings


def open_sets(folder: Path, loaded: Checkpoint) -> dict[str, OpenSet]:
    """Return them by their head's name, "" for the only head without one.

    Args:
        folder: the checkpoint's, verified.
        loaded: what was loaded from there.

    Raises:
        CheckpointError: one is damaged, or of another model.
    """
    found: dict[str, OpenSet] = {**guard.guards(folder, loaded)}
    card = loaded.manifest.gallery
    if card is not None:
        voices = Gallery.read(folder / card.file)
        voices.check(gallery.maker(loaded))
        found[card.head] = voices
    return found


def check_layout(settings: Settings, found: Collection[str], heads: Collection[str]) -> None:
    """Raise CheckpointError unless the settings say which heads are open sets, one without a name is alone, and the
    default head is one of them."""
    if set(settings.open_sets) != set(found) or ("" in heads and len(heads) > 1):
        said, there = (", ".join(map(repr, names)) or "none" for names in (settings.open_sets, found))
        raise CheckpointError(
            f"the settings say that the open sets are {said}, the checkpoint has {there}, of the heads "
            f"{', '.join(map(repr, heads))}: build the archive again"
        )
    try:
        settings.check_default_head(heads)
    except ValueError as exc:
        raise CheckpointError(f"{exc}: build the archive again") from exc
