"""What the batched parts require of a back end beside linear maps and norms, in plain torch: a GPU's, or a test's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.encoder.packed.batched.layout import Index, Layout
from speaker_id.encoder.packed.operators import Map, PortableOperators
from speaker_id.encoder.packed.weights import Norm, Positional


@cache
def varlen_attention() -> Callable[..., Any]:
    """Attention over clips of several lengths. Imported only where it is computed: it imports torch's compiler, which
    costs a worker time at its start, and memory."""
    from torch.nn.attention.varlen import varlen_attn

    # sums over keys, whose number of parts would depend on the longest clip of the batch; older versions never split
    unsplit = "num_splits" in inspect.signature(varlen_attn).parameters
    attend: Callable[..., Any] = varlen_attn
    return partial(attend, num_splits=1) if unsplit else attend


class BatchedOperators(PortableOperators):
    name = "batched"
    whole = True

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(dtype, device)
        self.tile = (
            1 << 13
        )  # bounds the memory of the convolutions: 11 MB of bf16 activations a second of audio
        # flash attention takes half precision only
        self.varlen = device.type == "cuda" and dtype == torch.bfloat16

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Compute each clip's attention over its own rows: (frames, 3 · hidden) → (frames, hidden)."""
        if not self.varlen or qkv.shape[1] // (3 * heads) % 8:
            return self.attend_in_turn(qkv, layout, heads)
        query, key, value = qkv.view(len(qkv), 3, heads, -1).unbind(1)
        ends, longest = layout.ends, layout.longest
        mixed: Tensor = varlen_attention()(query, key, value, ends, ends, longest, longest, scale=1.0)
        return mixed.flatten(1)

    def attend_in_turn(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """As `attend`, clip by clip."""
        parts = qkv.view(len(qkv), 3, heads, -1)
        mixed = qkv.new_empty(len(qkv), heads, parts.shape[-1])
        for span in layout:
            query, key, value = parts[span].permute(1, 2, 0, 3)
            mixed[span] = self.attention(query, key, value).transpose(0, 1)
        return mixed.flatten(1)

    def add_norm(self, norm: Norm, keep: bool) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Prepare rows, residual → their sum and its layer norm. `keep`: whether the caller reads the sum too."""
        del keep  # the sum is there anyway
        normalise = self.norm(norm)

        def add(rows: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
            total = rows.add_(residual)
            return total, normalise(total)

        return add

    def grouped(self, weights: Positional) -> Map | None:  # noqa: ARG002
        """Prepare GELU of the grouped convolution over time, (frames, channels) → fewer frames.

        None where it is faster by FFT.
        """
        return None

    def first_layer(self, windows: Tensor, weight: Tensor, bias: Tensor, clips: Index) -> Tensor:
        """Compute GELU of a linear map of each clip's own.

        Args:
            windows: fp32, (hops, windows of a hop, kernel); overlapping views.
            weight: fp32, (clips, kernel, channels).
            bias: fp32, (clips, channels).
            clips: whose each hop is, (hops,).

        Returns:
            (hops · windows of a hop, channels).
        """
        return (
            F.gelu(torch.baddbmm(bias[clips][:, None], windows, weight[clips])).to(self.dtype).flatten(0, 1)
        )

    def means(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Compute each clip's mean over its rows: (frames, channels) → (clips, channels), fp32."""
        return torch.segment_reduce(hidden.float(), "mean", lengths=layout.frames, axis=0, unsafe=True)
