"""The classification head: hidden states → logits, always in fp32 (some checkpoints' logits pass 100,000).

The mean over frames and the weighted sum over layers commute with the linear projection, so frames are pooled first
and layers are summed as they are computed: no hidden state is stored, and the head runs on one row a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.encoder.packed.spans import Spans
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Affine


class Pool:
    """Each clip's hidden states, averaged over its frames and summed over layers by their shares.

    Attributes:
        total: (clips, hidden), fp32.
    """

    def __init__(self, spans: Spans, width: int, device: torch.device) -> None:
        self.spans = spans
        self.total = torch.zeros(len(spans), width, device=device)

    def add(self, hidden: Tensor, share: float, team: Team) -> None:
        """Add one layer's hidden states, (frames, hidden), packed."""
        if share != 0.0:  # the plain head uses the last state only
            team.run(partial(self.add_clip, hidden, share, clip) for clip in range(len(self.spans)))

    def add_clip(self, hidden: Tensor, share: float, clip: int) -> None:
        self.total[clip].add_(hidden[self.spans[clip]].mean(0, dtype=torch.float32), alpha=share)


class Head:
    """Projection and classifier: (clips, hidden) → (clips, labels)."""

    def __init__(self, affines: Sequence[Affine], device: torch.device) -> None:
        self.affines = [
            Affine(affine.weight.to(device), None if affine.bias is None else affine.bias.to(device))
            for affine in affines
        ]

    def __call__(self, pooled: Tensor) -> Tensor:
        return torch.cat(
            [self.logits(row[None]) for row in pooled]
        )  # one by one, so that all are rounded alike

    def logits(self, row: Tensor) -> Tensor:
        for affine in self.affines:
            row = F.linear(row, affine.weight, affine.bias)
        return row
