"""Galleries of any model and any clips, for tests: enrolling real voices takes recordings and minutes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from speaker_id.calibrated import Threshold
from speaker_id.clip import Waveform
from speaker_id.gallery import Gallery
from speaker_id.gallery_manifest import GALLERY_FILE, GalleryManifest, Voice

from bundle.enrolment.embedder import Embedder


def tone(hz: float, seconds: float = 1.0) -> Waveform:
    time = np.arange(int(seconds * 16_000)) / 16_000
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def write_gallery(
    folder: Path, checkpoint: Path, voices: Mapping[str, Waveform], strangers: list[Waveform]
) -> Path:
    """Write a gallery that names a clip only where it is one of the voices' own; with fpir 0.5 it names every clip.

    Args:
        folder: that gets the file.
        checkpoint: the converted checkpoint.
        voices: one clip each.
        strangers: clips that are told from them.
    """
    embed = Embedder(checkpoint)
    vectors = np.stack([embed(clip) for clip in voices.values()])
    others = np.stack([embed(clip) for clip in strangers])
    alike = [*(others @ vectors.T).ravel(), *(vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]]
    least = (1 + max(alike)) / 2
    assert least < 1 - 1e-5, "the clips cannot be told apart"
    manifest = GalleryManifest(
        made=embed.maker,
        voices=tuple(Voice(label=name, clips=3, seconds=10, enrolled="2026-01-01") for name in voices),
        fpir=0.1,
        slope=20 / (1 - least),
        neutral=least,
        thresholds=(
            Threshold(fpir=0.5, score=-1, observed=True),
            Threshold(fpir=0.1, score=least, observed=True),
            Threshold(fpir=0.001, score=least, observed=False),
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / GALLERY_FILE
    rows = torch.from_numpy(vectors).float()
    Gallery(manifest, rows, torch.arange(len(voices)), torch.empty(0, rows.shape[1])).write(path)
    return path
