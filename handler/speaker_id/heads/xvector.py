"""X-vectors: time-delay layers over the frames, mean and standard deviation over time, and an affine map, whose output
is the embedding (Snyder et al. 2018, "X-vectors: robust DNN embeddings for speaker recognition").

Source: transformers 5.23, `Wav2Vec2ForXVector`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.heads.affine import Affine
from speaker_id.heads.contract import Mixture


@dataclass(frozen=True)
class TimeDelay:
    """One time-delay layer: a dilated convolution over frames, then ReLU.

    Attributes:
        weight: (outputs, inputs, kernel).
        bias: (outputs,).
        dilation: in frames.
    """

    weight: Tensor
    bias: Tensor
    dilation: int

    def to(self, device: torch.device) -> TimeDelay:
        return TimeDelay(self.weight.to(device), self.bias.to(device), self.dilation)

    def __call__(self, channels: Tensor) -> Tensor:
        """(1, inputs, frames) → (1, outputs, fewer frames)."""
        return F.conv1d(channels, self.weight, self.bias, dilation=self.dilation).relu_()


@dataclass(frozen=True)
class XVector:
    """`ForXVector`'s head. It answers with its embedding; the map behind it, whose outputs carry no labels, only
    training needs."""

    mixture: Mixture
    projector: Affine
    delays: Sequence[TimeDelay]
    affine: Affine
    classifier: Affine
    min_frames: int
    whole = True
    labels = 0

    @property
    def width(self) -> int:
        return len(self.affine.weight)

    def embedding(self, states: Tensor) -> Tensor:
        channels = self.projector(states).T[None]
        for delay in self.delays:
            channels = delay(channels)
        return self.affine(torch.cat([channels.mean(2), channels.std(2)], 1))

    def logits(self, embedding: Tensor) -> Tensor:
        return self.classifier(embedding)
