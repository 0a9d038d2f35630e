"""The transformer: packed rows → every hidden state, one after the other.

Linear maps run over all clips' rows at once; attention runs clip by clip, so no clip affects another.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from speaker_id.encoder.packed.operators import Operators
from speaker_id.encoder.packed.spans import Spans, cut, widened
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Layer, Norm
from speaker_id.heads.affine import Affine


class Projection:
    """Feature rows → the transformer's width, by a norm (if the model has one) and a linear map."""

    def __init__(self, norm: Norm | None, affine: Affine, operators: Operators) -> None:
        self.norm = None if norm is None else operators.norm(norm)
        self.linear, self.width = operators.linear(affine), len(affine.weight)

    def __call__(self, features: Tensor, team: Team) -> Tensor:
        """(frames, features) → (frames, hidden)."""
        return team.map_rows(self.project, features, features.new_empty(len(features), self.width))

    def project(self, rows: Tensor) -> Tensor:
        return self.linear(rows if self.norm is None else self.norm(rows))


class RowNorm:
    """Layer norm of packed rows, in place."""

    def __init__(self, norm: Norm, operators: Operators) -> None:
        self.norm = operators.norm(norm)

    def __call__(self, hidden: Tensor, team: Team) -> Tensor:
        return team.map_rows(self.norm, hidden, hidden)


class TransformerLayer:
    """Attention and feed-forward, each with its residual.

    Args:
        pre_norm: normalise the input of each half (transformers' "stable layer norm"), not its output.
    """

    def __init__(self, weights: Layer, heads: int, pre_norm: bool, operators: Operators) -> None:
        self.operators = operators
        self.heads, self.pre_norm, self.step = heads, pre_norm, operators.step
        self.attention = operators.attention
        self.qkv, self.out = operators.linear(weights.qkv), operators.linear(weights.out)
        self.up, self.down = operators.linear(weights.up), operators.linear(weights.down)
        self.norm, self.final_norm = operators.norm(weights.norm), operators.norm(weights.final_norm)

    def __call__(self, hidden: Tensor, spans: Spans, team: Team) -> Tensor:
        """Update hidden, (frames, hidden), packed, in place."""
        frames, width = hidden.shape
        qkv = team.map_rows(self.project, hidden, hidden.new_empty(frames, 3 * width))
        mixed = self.attend(qkv, spans, team)
        team.run(partial(self.update, mixed, hidden, rows) for rows in team.chunks(frames))
        return hidden

    def project(self, rows: Tensor) -> Tensor:
        return self.qkv(self.norm(rows) if self.pre_norm else rows)

    def attend(self, qkv: Tensor, spans: Spans, team: Team) -> Tensor:
        """Compute each clip's attention over its own rows: (frames, 3 · hidden) → (frames, hidden)."""
        mixed = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
        longest_first = sorted(spans, key=lambda span: span.start - span.stop)
        # some heads a piece, so that a single clip keeps every thread busy
        groups = cut(slice(0, self.heads), self.heads, team.threads, smallest=1)
        team.run(partial(self.attend_clip, qkv, mixed, span, g) for span in longest_first for g in groups)
        return mixed

    def attend_clip(self, qkv: Tensor, mixed: Tensor, span: slice, heads: slice) -> None:
        frames = span.stop - span.start
        # (frames, 3, heads, size) → three of (heads, frames, size)
        query, key, value = qkv[span].view(frames, 3, self.heads, -1)[:, :, heads].permute(1, 2, 0, 3)
        out = self.attention(query, key, value)
        mixed[span].view(frames, self.heads, -1)[:, heads] = out.transpose(0, 1)

    def update(self, mixed: Tensor, hidden: Tensor, rows: slice) -> None:
        wide = widened(rows, self.step)
        hidden[rows] = self.feed_forward(mixed[wide], hidden[wide])[rows.start - wide.start :]

    def feed_forward(self, mixed: Tensor, hidden: Tensor) -> Tensor:
        """Compute the layer's output from its input and what attention mixed of it."""
        x = self.out.add(mixed, hidden)
        if self.pre_norm:
            return self.down.add(self.up.gelu(self.final_norm(x)), x)
        x = self.norm(x)
        return self.final_norm(self.down.add(self.up.gelu(x), x))
