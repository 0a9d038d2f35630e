"""Weighted sums of hidden states, accumulated while the layers are computed: no hidden state is stored.

The mean over frames and the sum over layers commute with a head's linear projection, so most heads need the sum of the
means only, one row a clip. A head that reads every frame gets the sum of those, for calls that ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from speaker_id.encoder.packed.operators import Operators
from speaker_id.encoder.packed.spans import Spans
from speaker_id.encoder.packed.team import Team


class Sums:
    """One sum for each distinct set of layer weights.

    Args:
        spans: each clip's rows.
        width: of the hidden states.
        means: how many sums of means.
        whole: whether there is a sum of all frames too.
        operators: of the encoder.

    Attributes:
        means: each (clips, hidden), fp32.
        frames: (frames, hidden), fp32; None if it is not asked for.
    """

    def __init__(self, spans: Spans, width: int, means: int, whole: bool, operators: Operators) -> None:
        self.spans, self.operators = spans, operators
        device = operators.device
        self.means = [torch.zeros(len(spans), width, device=device) for _ in range(means)]
        self.frames = torch.zeros(spans[-1].stop, width, device=device) if whole else None

    def add(self, hidden: Tensor, shares: Sequence[float], whole: float, team: Team) -> None:
        """Add one layer's hidden states, (frames, hidden), packed.

        Args:
            hidden: of that layer.
            shares: the layer's in each sum of means.
            whole: its share in the sum of all frames.
            team: computes it.
        """
        if any(shares) or (whole and self.frames is not None):  # the plain head uses the last state only
            clips = range(len(self.spans))
            team.run(partial(self.add_clip, hidden, shares, whole, clip) for clip in clips)

    def add_clip(self, hidden: Tensor, shares: Sequence[float], whole: float, clip: int) -> None:
        rows = hidden[self.spans[clip]]
        if any(shares):
            mean = rows.mean(0, dtype=torch.float32)
            for total, share in zip(self.means, shares, strict=True):
                if share != 0.0:
                    total[clip].add_(mean, alpha=share)
        if self.frames is not None and whole != 0.0:
            self.frames[self.spans[clip]].add_(rows, alpha=whole)
