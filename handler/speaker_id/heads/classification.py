"""Sequence classification: the mean over frames, a projection if there is one, a classifier.

The mean commutes with the linear projection, so the head runs on one row a clip.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from speaker_id.heads.affine import Affine
from speaker_id.heads.contract import Mixture


@dataclass(frozen=True)
class Classification:
    """`ForSequenceClassification`'s head. Its embedding is the pooled projection, or the mean where
    it has no projector."""

    mixture: Mixture
    projector: Affine | None
    classifier: Affine
    whole = False
    min_frames = 1

    @property
    def width(self) -> int:
        return self.classifier.weight.shape[1]

    @property
    def labels(self) -> int:
        return len(self.classifier.weight)

    def embedding(self, states: Tensor) -> Tensor:
        return states if self.projector is None else self.projector(states)

    def logits(self, embedding: Tensor) -> Tensor:
        return self.classifier(embedding)
