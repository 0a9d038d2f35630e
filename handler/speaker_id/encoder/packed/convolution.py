"""The feature extractor: one clip's waveform → its feature rows, exactly as for that clip alone.

Activations are time-major, so a window of `kernel` rows is contiguous in memory and each layer is one matrix product
over a strided view. A clip is computed in tiles over time, each from its own samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from speaker_id.encoder.packed.operators import Operators, gelu
from speaker_id.encoder.packed.spans import Spans, even, widened
from speaker_id.encoder.packed.team import Piece, Team
from speaker_id.encoder.packed.weights import Convolution, Norm
from speaker_id.heads.affine import Affine


class ConvolutionStack:
    """Waveforms → feature rows.

    Attributes:
        channels: of a feature row.
    """

    def __init__(self, layers: Sequence[Convolution], operators: Operators) -> None:
        self.operators = operators
        self.windows = [(layer.kernel, layer.stride) for layer in layers]
        self.hop = math.prod(layer.stride for layer in layers)  # samples from one frame to the next
        self.channels = len(layers[-1].affine.weight)
        self.fold: Fold | None = None
        self.blocks = [Block(layer, operators) for layer in layers]
        if layers[0].time_norm is not None:
            self.fold = Fold(layers[0], layers[0].time_norm, operators.device)

    def frames(self, samples: int) -> int:
        """Return how many frames a clip of `samples` samples has."""
        for kernel, stride in self.windows:
            samples = (samples - kernel) // stride + 1
        return samples

    def samples(self, frames: int) -> int:
        """Return the fewest samples that give `frames` frames."""
        for kernel, stride in reversed(self.windows):
            frames = (frames - 1) * stride + kernel
        return frames

    def __call__(self, clips: Any, spans: Spans, team: Team) -> Tensor:
        """Waveforms (samples,) fp32 → their features, (frames, channels), packed."""
        device, dtype = self.operators.device, self.operators.dtype
        out = torch.empty(spans[-1].stop, self.channels, device=device, dtype=dtype)
        team.run(
            tile
            for clip, span in zip(clips, spans, strict=True)
            for tile in self.tiles(clip, out[span], team.threads)
        )
        return out

    def tiles(self, waveform: Tensor, out: Tensor, threads: int) -> Iterator[Piece]:
        """Yield the pieces of work for one clip: waveform (samples,) → out (frames, channels)."""
        blocks = self.blocks
        if self.fold is not None:
            waveform = waveform - waveform.mean(dtype=torch.float64).float()
            blocks = [Block(self.fold(waveform), self.operators), *blocks[1:]]
        waveform = waveform.to(out.dtype)
        for tile in even(slice(0, len(out)), self.operators.tile, threads, self.operators.step):
            wide = widened(tile, self.operators.step)
            first = wide.start * self.hop
            samples = waveform[first : first + self.samples(wide.stop - wide.start)]
            yield partial(self.compute, blocks, samples, out[tile])

    @staticmethod
    def compute(blocks: Sequence[Block], samples: Tensor, out: Tensor) -> None:
        rows = samples[:, None]
        for block in blocks:
            rows = block(rows)
        out.copy_(rows[len(rows) - len(out) :])


class Block:
    """Convolution, its norm over channels if it has one, GELU: (rows, inputs) → (rows / stride, outputs)."""

    def __init__(self, layer: Convolution, operators: Operators) -> None:
        self.kernel, self.stride = layer.kernel, layer.stride
        self.linear = operators.linear(layer.affine)
        self.norm = None if layer.channel_norm is None else operators.norm(layer.channel_norm)

    def __call__(self, rows: Tensor) -> Tensor:
        length, channels = rows.shape
        count = (length - self.kernel) // self.stride + 1
        windows = rows.as_strided((count, self.kernel * channels), (self.stride * channels, 1))
        if self.norm is None:
            return self.linear.gelu(windows)
        return gelu(self.norm(self.linear(windows)))


class Fold:
    """The first layer with its norm over time folded into weights for one clip.

    The norm needs the mean and variance, over the whole clip, of each channel's output. Both follow exactly from
    the waveform's own patches, as the layer is linear: with the patches' mean μ and covariance C, the channel of
    weights w has mean w·μ and variance wᵀCw. No pass over the layer's output is needed. The layer's bias cancels
    in the norm; so does the waveform's offset, so the caller may remove it, for precision.
    """

    def __init__(self, layer: Convolution, norm: Norm, device: torch.device) -> None:
        self.layer = layer
        self.weight = layer.affine.weight.to(device, torch.float64)
        self.gain, self.shift = (each.to(device, torch.float64) for each in (norm.weight, norm.bias))
        self.eps = norm.eps

    def __call__(self, waveform: Tensor) -> Convolution:
        patches = waveform.unfold(0, self.layer.kernel, self.layer.stride).double()
        weight, bias = self.of_moments(patches.mean(0), patches.t() @ patches / len(patches))
        return Convolution(
            kernel=self.layer.kernel,
            stride=self.layer.stride,
            affine=Affine(weight, bias),
            time_norm=None,
            channel_norm=None,
        )

    def of_moments(self, mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        """Compute weights and biases from the means of patches, (…, kernel), and of their outer products."""
        covariance = square - mean[..., :, None] * mean[..., None, :]
        variance = ((self.weight @ covariance) * self.weight).sum(-1).clamp_min(0)
        scale = self.gain / torch.sqrt(variance + self.eps)
        bias = self.shift - (mean @ self.weight.t()) * scale
        return (self.weight * scale[..., None]).float(), bias.float()
