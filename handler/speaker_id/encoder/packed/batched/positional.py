"""The positional convolution of all clips at once: directly where the back end can, otherwise by FFT."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.encoder.packed.batched.layout import Layout
from speaker_id.encoder.packed.batched.operators import BatchedOperators
from speaker_id.encoder.packed.positional import PositionalEmbedding
from speaker_id.encoder.packed.spans import Spans
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Positional

BLOCKS = 256  # transformed at once: 0.2 GB of spectra for a model of width 768
STEP = 32  # blocks: each number of them needs a plan of its own, so they are a multiple


class BatchedPositional(PositionalEmbedding):
    def __init__(self, weights: Positional, operators: BatchedOperators) -> None:
        super().__init__(weights, operators)
        self.grouped = operators.grouped(weights)

    def __call__(self, hidden: Tensor, spans: Spans, _: Team) -> Tensor:
        assert isinstance(spans, Layout)
        return hidden + (
            self.transformed(hidden, spans) if self.grouped is None else self.direct(hidden, spans)
        )

    def direct(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Convolve all rows as one clip, with zeros between clips that are as many as the kernel reaches over."""
        assert self.grouped is not None
        # an even kernel covers one row more before than after: transformers drops its last output
        gap = self.kernel // 2
        clip = torch.arange(len(layout), device=hidden.device)
        at = layout.taken(layout.first_row + (clip + 1) * gap)
        apart = hidden.new_zeros(len(hidden) + (len(layout) + 1) * gap, hidden.shape[1]).index_copy_(
            0, at, hidden
        )
        return self.grouped(apart)[at - gap]

    def transformed(self, hidden: Tensor, layout: Layout) -> Tensor:
        device, counts = hidden.device, -(-layout.frames // self.step)  # blocks of each clip
        total = sum(-(-(span.stop - span.start) // self.step) for span in layout)
        first = counts.cumsum(0) - counts
        clip = torch.repeat_interleave(torch.arange(len(layout), device=device), counts, output_size=total)
        start = (torch.arange(total, device=device) - first[clip]) * self.step - self.kernel // 2
        frame = start[:, None] + torch.arange(self.size, device=device)
        inside = (frame >= 0) & (frame < layout.frames[clip][:, None])
        rows = torch.where(inside, frame + layout.first_row[clip][:, None], 0)
        surplus = -total % STEP
        rows, inside = F.pad(rows, (0, 0, 0, surplus)), F.pad(inside, (0, 0, 0, surplus))
        convolved = []
        for begin in range(0, len(rows), BLOCKS):
            some = slice(begin, begin + BLOCKS)
            blocks = torch.where(inside[some][..., None], hidden[rows[some]], 0).float()
            convolved.append(self.convolve(blocks.transpose(1, 2)).flatten(0, 1))
        embedding = torch.cat(convolved)[layout.taken(first * self.step)]
        if self.bias is not None:
            embedding = embedding + self.bias
        return F.gelu(embedding).to(hidden.dtype)
