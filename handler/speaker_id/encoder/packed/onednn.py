"""The fast back end for CPUs: oneDNN's linear maps, prepared once, with GELU or the residual fused into the product.

torch exposes them as private operators of its compiler (`torch.ops.mkldnn`), which may change with any version. So
`probe.choose()` tests each before a model is served with them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from speaker_id.encoder.packed.operators import Linear, PortableOperators
from speaker_id.encoder.packed.spans import cut
from speaker_id.heads.affine import Affine

mkldnn = torch.ops.mkldnn
SCORES = 1 << 20  # of bf16 attention, computed at once: about as many as fit in the second-level cache
ROWS = 256  # of queries: with fewer, preparing the keys for each product costs more than the product


class FusedLinear:
    def __init__(self, affine: Affine, dtype: torch.dtype) -> None:
        weight = affine.weight.to(dtype).contiguous()
        self.weight = mkldnn._reorder_linear_weight(weight, None)
        self.bias = None if affine.bias is None else affine.bias.to(dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        out: Tensor = mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return out

    def gelu(self, rows: Tensor) -> Tensor:
        # algorithm "none": GELU by the error function, not by tanh
        out: Tensor = mkldnn._linear_pointwise(rows, self.weight, self.bias, "gelu", [], "none")
        return out

    def add(self, rows: Tensor, residual: Tensor) -> Tensor:
        out: Tensor = mkldnn._linear_pointwise.binary(rows, residual, self.weight, self.bias, "add")
        return out


class OneDnnOperators(PortableOperators):
    name = "onednn"
    step = 8  # 32 different shapes up to a chunk, for at most 7 rows computed twice

    def linear(self, affine: Affine) -> Linear:
        return FusedLinear(affine, self.dtype)

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.dtype == torch.float32:
            return super().attention(query, key, value)
        # torch's flash attention computes bf16 at half the speed of oneDNN's batched product
        heads, frames, _ = query.shape
        query, key, value = query.contiguous(), key.transpose(1, 2).contiguous(), value.contiguous()
        out = torch.empty_like(query)
        together = max(1, SCORES // (ROWS * frames))
        for group in cut(slice(0, heads), min(heads, together), smallest=1):
            for rows in cut(slice(0, frames), max(ROWS, SCORES // (heads * frames))):
                scores = query[group, rows] @ key[group]
                out[group, rows] = torch.softmax(scores, dim=-1) @ value[group]
        return out
