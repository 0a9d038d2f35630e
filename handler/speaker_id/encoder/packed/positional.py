"""The positional convolution (128 taps in every published model), by FFT, never across a clip's border.

Computed directly it costs 9 MFLOP a frame in groups too narrow for full speed, and oneDNN compiles it again for each
length of clip. By FFT it has fewer operations, one shape for all lengths, and is as exact. Each clip is cut into blocks
that overlap by `kernel - 1` frames (overlap-save). Beyond the clip's ends a block contains zeros, as the convolution's
own padding does, never a neighbour's frames.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.encoder.packed.operators import Operators
from speaker_id.encoder.packed.spans import Spans, cut
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Positional

BLOCKS = 8  # transformed at once, to read the spectra of the weights less often


class PositionalEmbedding:
    """Each clip's rows plus GELU of their grouped convolution over time. Always in fp32."""

    def __init__(self, weights: Positional, operators: Operators) -> None:
        device = operators.device
        weight, bias = weights.affine.weight.to(device), weights.affine.bias
        channels, width, self.kernel = weight.shape
        self.groups = weights.groups
        self.size = 1 << (2 * self.kernel - 1).bit_length()  # frames of a transform; about half are overlap
        self.step = self.size - self.kernel + 1  # new frames of a block
        self.bias = None if bias is None else bias.to(device)
        # torch's convolution does not flip its kernel: in the spectrum, the conjugate
        spectrum = torch.fft.rfft(weight, n=self.size).conj()
        # (channels, width, frequencies) → (frequencies, groups, width, channels of a group)
        spectrum = spectrum.view(self.groups, channels // self.groups, width, -1)
        self.spectrum = spectrum.permute(3, 0, 2, 1).resolve_conj().contiguous()

    def __call__(self, hidden: Tensor, spans: Spans, team: Team) -> Tensor:
        """(frames, channels), packed → the same shape."""
        out = torch.empty_like(hidden)
        team.run(
            partial(self.embed, hidden, out, rows, span)
            for span in spans
            for rows in cut(span, BLOCKS * self.step, team.threads)
        )
        return out

    def embed(self, hidden: Tensor, out: Tensor, rows: slice, span: slice) -> None:
        embedding = self.convolve(self.blocks(hidden, rows, span)).flatten(0, 1)[: rows.stop - rows.start]
        if self.bias is not None:
            embedding = embedding + self.bias
        out[rows] = hidden[rows] + F.gelu(embedding)

    def blocks(self, hidden: Tensor, rows: slice, span: slice) -> Tensor:
        """Return some of a clip's rows, with what the kernel covers around them, as (blocks, channels, size)."""
        count = -(-(rows.stop - rows.start) // self.step)
        # an even kernel covers one row more before than after: transformers drops its last output
        start = rows.start - self.kernel // 2
        end = start + count * self.step + self.kernel - 1
        inside = slice(max(start, span.start), min(end, span.stop))
        seen = F.pad(hidden[inside].float(), (0, 0, inside.start - start, end - inside.stop))
        return seen.unfold(0, self.size, self.step)

    def convolve(self, blocks: Tensor) -> Tensor:
        """(blocks, channels, size) → (blocks, step, channels)."""
        count, channels, _ = blocks.shape
        spectrum = torch.fft.rfft(blocks).view(count, self.groups, channels // self.groups, -1)
        product = spectrum.permute(3, 1, 0, 2) @ self.spectrum  # (frequencies, groups, blocks, channels)
        product = product.permute(2, 1, 3, 0).reshape(count, channels, -1)
        convolved: Tensor = torch.fft.irfft(product, n=self.size)[..., : self.step]
        return convolved.transpose(1, 2)
