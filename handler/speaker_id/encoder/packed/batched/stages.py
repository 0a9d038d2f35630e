"""The batched parts, and what they are built from: transformer layers, pooling, and the way in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from speaker_id.clip import Waveform
from speaker_id.encoder.packed.batched.convolution import BatchedConvolutions
from speaker_id.encoder.packed.batched.layout import Layout
from speaker_id.encoder.packed.batched.operators import BatchedOperators
from speaker_id.encoder.packed.batched.positional import BatchedPositional
from speaker_id.encoder.packed.pooling import Sums
from speaker_id.encoder.packed.spans import Spans
from speaker_id.encoder.packed.stages import Prepare, Stages, normalised
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.transformer import TransformerLayer
from speaker_id.encoder.packed.weights import Layer
from speaker_id.preparation import EPSILON, Preparation


class BatchedPrepare(Prepare):
    """Waveforms → one signal on the device, normalised there, and its layout.

    A clip of silence may stand last, whose answer nobody reads: it rounds the number of rows up, since products
    of ever new sizes cost the processor time for each (docs/results/gpu.md).
    """

    convolutions: BatchedConvolutions

    def __call__(self, waveforms: Sequence[Waveform]) -> tuple[Tensor, Layout]:
        known = Preparation.of(self.feature_extractor)  # which the device computes
        if known is None:
            waveforms = [normalised(self.feature_extractor, each).numpy() for each in waveforms]
        surplus = -(rows := sum(self.convolutions.frames(len(each)) for each in waveforms)) % coarse(rows)
        if surplus:
            waveforms = [*waveforms, np.zeros(self.convolutions.samples(surplus), np.float32)]
        samples = [len(waveform) for waveform in waveforms]
        frames = [self.convolutions.frames(each) for each in samples]
        layout = Layout(samples, frames, self.convolutions.hop, self.device)
        signal = layout.signal(waveforms, self.convolutions.spare)
        if known and known.do_normalize:
            signal = self.unit_variance(signal, layout)
        return signal, layout

    @staticmethod
    def unit_variance(signal: Tensor, layout: Layout) -> Tensor:
        hops = signal[: layout.hops * layout.hop].view(-1, layout.hop)
        mean = layout.sums(hops.sum(1, dtype=torch.float64)) / layout.samples
        variance = layout.sums(hops.double().square().sum(1)) / layout.samples - mean.square()
        scale = (variance.clamp_min(0) + EPSILON).rsqrt()
        hops.sub_(layout.of_hops(mean.float())[:, None]).mul_(layout.of_hops(scale.float())[:, None])
        return signal


def coarse(rows: int) -> int:
    """Return the distance of the numbers of rows that are used: 32 from one power of two to the next."""
    return 1 << max(0, rows.bit_length() - 6)


class BatchedLayer(TransformerLayer):
    def __init__(self, weights: Layer, heads: int, pre_norm: bool, operators: BatchedOperators) -> None:
        super().__init__(weights, heads, pre_norm, operators)
        self.attend_batch = operators.attend
        self.add_norm = operators.add_norm(weights.final_norm if pre_norm else weights.norm, keep=pre_norm)
        self.add_final_norm = operators.add_norm(weights.final_norm, keep=False)

    def __call__(self, hidden: Tensor, spans: Spans, _: Team) -> Tensor:
        assert isinstance(spans, Layout)
        mixed = self.attend_batch(self.project(hidden), spans, self.heads)
        x, normed = self.add_norm(self.out(mixed), hidden)
        if self.pre_norm:
            return self.down.add(self.up.gelu(normed), x)
        return self.add_final_norm(self.down(self.up.gelu(normed)), normed)[1]


class BatchedSums(Sums):
    operators: BatchedOperators

    def add(self, hidden: Tensor, shares: Sequence[float], whole: float, _: Team) -> None:
        assert isinstance(self.spans, Layout)
        if any(shares):
            means = self.operators.means(hidden, self.spans)
            for total, share in zip(self.means, shares, strict=True):
                if share != 0.0:
                    total.add_(means, alpha=share)
        if self.frames is not None and whole != 0.0:
            self.frames.add_(hidden, alpha=whole)


class WholeTeam(Team):
    """One thread, and every step in one piece."""

    def map_rows(self, function: Callable[[Tensor], Tensor], rows: Tensor, _: Tensor) -> Tensor:
        return function(rows)


STAGES = Stages(BatchedPrepare, BatchedConvolutions, BatchedPositional, BatchedLayer, BatchedSums, WholeTeam)
