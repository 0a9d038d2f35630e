"""The transformer: packed rows in, every hidden state out, one after the other.

Linear maps run over all clips' rows at once, in chunks that stay in the processor's cache; attention runs clip by
clip, so nothing crosses from one clip into the next.
"""

from __future__ import annotations

import torch
from torch import Tensor

from speaker_id.packed.operators import Operators
from speaker_id.packed.spans import Spans, chunks
from speaker_id.packed.weights import Layer, Norm


class TransformerLayer:
    """Attention and feed-forward, each with its residual; updates the hidden state in place.

    Args:
        pre_norm: normalise what enters each half (transformers' "stable layer norm"), not what leaves it.
    """

    def __init__(self, weights: Layer, heads: int, pre_norm: bool, operators: Operators) -> None:
        self.heads, self.pre_norm, self.attention = heads, pre_norm, operators.attention
        self.qkv, self.out = operators.linear(weights.qkv), operators.linear(weights.out)
        self.up, self.down = operators.linear(weights.up), operators.linear(weights.down)
        self.norm, self.final_norm = operators.norm(weights.norm), operators.norm(weights.final_norm)

    def __call__(self, hidden: Tensor, spans: Spans) -> None:
        mixed = self.attend(hidden, spans)
        for rows in chunks(len(hidden)):
            x = self.out.add(mixed[rows], hidden[rows])
            if self.pre_norm:
                hidden[rows] = self.down.add(self.up.gelu(self.final_norm(x)), x)
            else:
                x = self.norm(x)
                hidden[rows] = self.final_norm(self.down.add(self.up.gelu(x), x))

    def attend(self, hidden: Tensor, spans: Spans) -> Tensor:
        """(frames, hidden) → each clip's attention over its own rows, (frames, hidden)."""
        frames, width = hidden.shape
        qkv = hidden.new_empty(frames, 3 * width)
        for rows in chunks(frames):
            qkv[rows] = self.qkv(self.norm(hidden[rows]) if self.pre_norm else hidden[rows])
        mixed = torch.empty_like(hidden)
        for span in spans:
            # (frames, 3, heads, size) → three of (heads, frames, size)
            query, key, value = qkv[span].view(-1, 3, self.heads, width // self.heads).permute(1, 2, 0, 3)
            mixed[span].view(-1, self.heads, width // self.heads).copy_(
                self.attention(query, key, value).transpose(0, 1)
            )
        return mixed


class RowNorm:
    """Layer norm over packed rows, in place."""

    def __init__(self, norm: Norm, operators: Operators) -> None:
        self.norm = operators.norm(norm)

    def __call__(self, hidden: Tensor) -> None:
        for rows in chunks(len(hidden)):
            hidden[rows] = self.norm(hidden[rows])
