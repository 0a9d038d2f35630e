"""Embeddings → the scores of clips against the gallery that they enrol, each clip left out of its own voice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]  # (clips, dim), of unit length


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float64)


def centroids(voices: Sequence[Vectors]) -> Vectors:
    """(voices, dim): the mean direction of each voice's clips."""
    return np.stack([unit(clips.sum(axis=0)) for clips in voices])


def genuine(voices: Sequence[Vectors]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every enrolment clip's scores (clips, voices), its own voice's from its other clips, and whose each clip is."""
    means = centroids(voices)
    rows, owners = [], []
    for owner, clips in enumerate(voices):
        total = clips.sum(axis=0)
        for clip in clips:
            scores = means @ clip
            scores[owner] = unit(total - clip) @ clip
            rows.append(scores)
            owners.append(owner)
    return np.stack(rows), np.array(owners)


def against_each_other(voices: Sequence[Vectors]) -> NDArray[np.float64]:
    """Every clip's scores as a stranger's: its own voice is left out of the gallery, -inf here."""
    scores, owners = genuine(voices)
    scores[np.arange(len(owners)), owners] = -np.inf
    return scores


def strangers(voices: Sequence[Vectors], clips: Vectors) -> NDArray[np.float64]:
    """(clips, voices)."""
    return np.asarray(clips @ centroids(voices).T)
