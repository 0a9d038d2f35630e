"""What a gallery's file says of itself: whose vectors it holds, which model made them, how scores become answers.

It is the safetensors file's metadata, JSON, which is read here without the tensors and without torch.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import BinaryIO

from pydantic import Field, ValidationError, field_validator

from speaker_id.calibrated import UNKNOWN, Calibrated, Maker, Part, Threshold
from speaker_id.manifest import CheckpointError

GALLERY_FILE = "gallery.safetensors"
FORM = 1  # of the file; another is refused
LENGTH = 8  # bytes of the header's length, little-endian: https://huggingface.co/docs/safetensors
MOST_BYTES = 100_000_000  # of a header, as safetensors has it
# Of a voice: one line in files that list labels, whichever characters their reader ends lines at, and text in UTF-8.
LABEL = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
STEEPEST = 1e30  # slope, whose product with a cosine is finite in fp32


class Voice(Part):
    """One enrolled voice: its label, and what it was enrolled from."""

    label: str
    clips: int = Field(ge=1)
    seconds: float = Field(gt=0)
    enrolled: str  # date, UTC

    @field_validator("label")
    @classmethod
    def _one_line(cls, label: str) -> str:
        if not LABEL.fullmatch(label):
            raise ValueError(f"{label!r} cannot be a label: it is empty, or has control characters")
        return label


class GalleryManifest(Calibrated):
    """What a gallery's vectors are, and how scores become answers.

    Attributes:
        fpir: false-alarm rate of a request that does not say.
    """

    form: int = FORM
    made: Maker
    voices: tuple[Voice, ...] = Field(min_length=1)
    fpir: float = Field(gt=0, lt=1)
    slope: float = Field(gt=0, le=STEEPEST)

    @field_validator("thresholds")
    @classmethod
    def _cosines(cls, thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
        for each in thresholds:
            if abs(each.score) > 1:
                raise ValueError(f"a threshold of {each.score} is no cosine")
        return thresholds

    @field_validator("voices")
    @classmethod
    def _unambiguous(cls, voices: tuple[Voice, ...]) -> tuple[Voice, ...]:
        names = [voice.label for voice in voices]
        if len({*names, UNKNOWN}) <= len(names):
            raise ValueError(f"two voices have one name, or one is called {UNKNOWN!r}")
        return voices

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the answer: the voices, then "unknown"."""
        return (*(voice.label for voice in self.voices), UNKNOWN)


def read_manifest(path: Path) -> GalleryManifest:
    """Read a gallery's manifest.

    Raises:
        CheckpointError: it is no gallery, or of another form.
    """
    try:
        with path.open("rb") as file:
            return parse(file, path.name)
    except OSError as exc:
        raise CheckpointError(f"{path.name} is no gallery: {exc.strerror}; run `make enrol` again") from exc


def parse(file: BinaryIO, name: str) -> GalleryManifest:
    """The same of an open file."""
    try:
        size = int.from_bytes(file.read(LENGTH), "little")
        if size > MOST_BYTES:
            raise ValueError("its header is too long")
        text = json.loads(file.read(size)).get("__metadata__", {}).get("gallery", "")
        manifest = GalleryManifest.model_validate_json(text)
    # pydantic's and json's errors are ValueErrors
    except (ValueError, AttributeError, TypeError, RecursionError) as exc:
        why = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else exc
        raise CheckpointError(f"{name} is no gallery: {why}; run `make enrol` again") from exc
    if manifest.form != FORM:
        raise CheckpointError(
            f"{name} has form {manifest.form}, this version reads {FORM}: run `make enrol` again"
        )
    return manifest
