"""The demo model's sample clips, which are held-out recordings with their speakers, and clips of the user's own.

`strangers` beside the samples has clips of people whom the model never heard: a right answer is "unknown".
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from bundle import BundleError

FOLDER = Path("models/demo/samples")
STRANGERS = Path("models/demo/strangers")


@dataclass(frozen=True)
class Sample:
    """One clip; `speaker` and `language` are the labels of right answers."""

    path: Path
    speaker: str
    seconds: float
    language: str = ""


def samples(folder: Path = FOLDER) -> list[Sample]:
    """All sample clips of a folder, in its manifest's order.

    Raises:
        BundleError: there is no manifest, or it names a missing clip.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise BundleError(f"there is no {manifest}: this checkout is incomplete")
    with manifest.open(newline="", encoding="utf-8") as lines:
        found = [
            Sample(folder / row["clip"], row["speaker"], float(row["seconds"]), row.get("language", ""))
            for row in csv.DictReader(lines)
        ]
    for sample in found:
        if not sample.path.is_file():
            raise BundleError(f"{manifest} names {sample.path.name}, which is missing")
    return found


def recordings(variable: str, folder: Path) -> list[Path]:
    """All audio files in a folder and the folders in it.

    Raises:
        BundleError: there are none; names the variable that gave the folder.
    """
    from speaker_id.audio.formats import SUFFIXES  # here, not above: it imports the decoders' libraries

    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise BundleError(f"{variable}={folder} holds no audio files ({' '.join(sorted(SUFFIXES))})")
    return found
