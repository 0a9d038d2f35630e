"""A gallery of `make enrol` → one more head of an archive.

The checkpoint's folder stays as it is, since every gallery of a model shares it: the gallery joins it in the archive.
"""

from __future__ import annotations

from pathlib import Path

from speaker_id.gallery_manifest import GALLERY_FILE, read_manifest
from speaker_id.manifest import MANIFEST_FILE, CheckpointError, FileRecord, GalleryCard, Manifest
from speaker_id.settings import Settings

from bundle import BundleError, archived
from bundle.spec import GallerySpec, ModelSpec
from bundle.terminal import say


def add(gallery: GallerySpec, settings: Settings, staged: Path) -> None:
    """Add the gallery to a staged checkpoint: its file, and the manifest that lists it.

    Args:
        settings: as `layout` makes them.
        staged: a folder of links to the checkpoint's files.
    """
    head = next(name for name, kind in settings.open_sets.items() if kind == "gallery")
    record = FileRecord.of(gallery.file)
    voices = len(read_manifest(gallery.file).voices)
    manifest = Manifest.read(staged)
    (staged / GALLERY_FILE).symlink_to(gallery.file)
    (staged / MANIFEST_FILE).unlink()
    manifest.model_copy(
        update={
            "files": {**manifest.files, GALLERY_FILE: record},
            "gallery": GalleryCard(head=head, file=GALLERY_FILE, voices=voices),
        }
    ).write(staged)


def refuse_other(mar: Path, gallery: GallerySpec, what: str) -> None:
    """Raise BundleError if an archive exists and has another gallery.

    Args:
        what: why it is not built again, and what to do.
    """
    if mar.is_file() and archived.manifest(mar).files.get(GALLERY_FILE) != FileRecord.of(gallery.file):
        raise BundleError(f"GALLERY={gallery.file} is not the gallery of {mar.name}, {what}")


def check(spec: ModelSpec, gallery: GallerySpec, checkpoint: Path, calibration: Path | None = None) -> None:
    """Raise BundleError unless the gallery was enrolled with this checkpoint, and answers alike in its precision.

    Loads the model: some seconds.
    """
    # here, not above: torch and transformers take seconds to import, and an unchanged archive needs neither
    from speaker_id import checkpoint as loading
    from speaker_id.gallery import Gallery, maker

    from bundle import precision

    try:
        found = Gallery.read(gallery.file)
        found.check(maker(loading.load(checkpoint)))
    except CheckpointError as exc:
        raise BundleError(f"{spec.name}: {gallery.file.name}: {exc}") from exc
    say(f"{spec.name}: {len(found.manifest.voices)} enrolled voices, of this model: {gallery.file}")
    precision.check_gallery(checkpoint, spec.speaker_id, spec.min_agreement, found, calibration)
