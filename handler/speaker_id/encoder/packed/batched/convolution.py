"""The feature extractor over one signal that holds all clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from speaker_id.encoder.packed.batched.layout import Layout
from speaker_id.encoder.packed.batched.operators import BatchedOperators
from speaker_id.encoder.packed.convolution import ConvolutionStack
from speaker_id.encoder.packed.spans import Spans
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Convolution

First = Callable[[slice], Tensor]  # some hops of the signal → rows of the first layer


class BatchedConvolutions(ConvolutionStack):
    """As `ConvolutionStack`, of a signal and its layout: see `Layout`."""

    operators: BatchedOperators

    def __init__(self, layers: Sequence[Convolution], operators: BatchedOperators) -> None:
        super().__init__(layers, operators)
        self.spare = self.samples(1) + self.hop  # samples behind the signal, for the last windows

    def __call__(self, clips: Any, spans: Spans, _: Team) -> Tensor:
        """A normalised signal → its clips' features, (frames, channels), packed."""
        assert isinstance(spans, Layout)
        first, blocks = (
            (self.plain(clips), self.blocks)
            if self.fold is None
            else (self.folded(clips, spans), self.blocks[1:])
        )
        found = torch.empty(spans.hops, self.channels, device=clips.device, dtype=self.operators.dtype)
        for start in range(0, spans.hops, self.operators.tile):
            hops = slice(start, min(start + self.operators.tile, spans.hops))
            rows = first(hops)
            for block in blocks:
                rows = block(rows)
            found[hops] = rows[: hops.stop - hops.start]
        return found[spans.taken(spans.first_hop)]

    def plain(self, signal: Tensor) -> First:
        """The first layer's rows are samples themselves."""
        samples = signal.to(self.operators.dtype)[:, None]

        def first(hops: slice) -> Tensor:
            start = hops.start * self.hop
            return samples[start : start + self.samples(hops.stop - hops.start)]

        return first

    def folded(self, signal: Tensor, layout: Layout) -> First:
        """Fold the norm over time into weights for each clip, as `Fold` does, for all at once."""
        assert self.fold is not None
        kernel, stride = self.windows[0]
        clips = layout.of_hops(torch.arange(len(layout), device=signal.device))
        whole = layout.hops * self.hop
        means = layout.sums(signal[:whole].view(-1, self.hop).sum(1, dtype=torch.float64)) / layout.samples
        signal[:whole].view(-1, self.hop).sub_(means.float()[clips][:, None])
        each = self.hop // stride
        windows = signal.as_strided((layout.hops, each, kernel), (self.hop, stride, 1))
        counts = (layout.samples - kernel) // stride + 1
        number = torch.arange(layout.hops, device=signal.device) - layout.first_hop[clips]
        inside = number[:, None] * each + torch.arange(each, device=signal.device) < counts[clips][:, None]
        patches = torch.where(inside[..., None], windows, 0.0).double()
        weight, bias = self.fold.of_moments(
            layout.sums(patches.sum(1)) / counts[:, None],
            layout.sums((patches.transpose(1, 2) @ patches).flatten(1)).view(-1, kernel, kernel)
            / counts[:, None, None],
        )
        weight = weight.transpose(1, 2).contiguous()
        # windows of a tile's last frame reach beyond it; behind the signal it does not matter whose weights are taken
        beyond = -(-self.spare // self.hop) - 1
        clips = torch.cat([clips, clips[-1:].expand(beyond)])

        def first(hops: slice) -> Tensor:
            wide = slice(hops.start, hops.stop + beyond)
            some = signal[wide.start * self.hop :].as_strided(
                (wide.stop - wide.start, each, kernel), (self.hop, stride, 1)
            )
            return self.operators.first_layer(some, weight, bias, clips[wide])

        return first
