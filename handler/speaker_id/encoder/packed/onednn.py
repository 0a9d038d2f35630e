"""The fast back end for CPUs: linear maps of the kind that is fastest on the processor, as a plan names it.

oneDNN's are prepared once. torch exposes them as private operators of its compiler (`torch.ops.mkldnn`), which may
change with any version. So `probe.choose()` tests each before a model is served with them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from speaker_id.encoder.packed.operators import Linear, PortableLinear, PortableOperators, gelu
from speaker_id.encoder.packed.spans import cut
from speaker_id.heads.affine import Affine
from speaker_id.plan import Kind, Plan

mkldnn = torch.ops.mkldnn
SCORES = 1 << 20  # of bf16 attention, computed at once: about as many as fit in the second-level cache
ROWS = 256  # of queries: with fewer, preparing the keys for each product costs more than the product


class FusedLinear:
    """oneDNN's product, with GELU or the residual fused into it."""

    def __init__(self, affine: Affine, dtype: torch.dtype, _: torch.device) -> None:
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


class SeparateLinear(FusedLinear):
    """The same product, followed by torch's GELU or sum: with AVX2 alone oneDNN's own are slower, as `tuning` finds."""

    def gelu(self, rows: Tensor) -> Tensor:
        return gelu(self(rows))

    def add(self, rows: Tensor, residual: Tensor) -> Tensor:
        return self(rows).add_(residual)


LINEARS: dict[Kind, type[FusedLinear] | type[PortableLinear]] = {
    "fused": FusedLinear,
    "separate": SeparateLinear,
    "plain": PortableLinear,
}


class OneDnnOperators(PortableOperators):
    name = "onednn"
    step = 8  # few different shapes, for some rows computed twice: see `spans.rounded`

    def __init__(self, dtype: torch.dtype, device: torch.device, plan: Plan | None = None) -> None:
        super().__init__(dtype, device)
        self.plan = plan or Plan()
        self.chunk, self.tile = self.plan.rows, self.plan.tile

    def linear(self, affine: Affine) -> Linear:
        return LINEARS[self.plan.of(*affine.weight.shape)](affine, self.dtype, self.device)

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.dtype == torch.float32:
            return super().attention(query, key, value)
        # in bf16 oneDNN's batched products are faster than torch's flash attention
        heads, frames, _ = query.shape
        query, key, value = query.contiguous(), key.transpose(1, 2).contiguous(), value.contiguous()
        out = torch.empty_like(query)
        together = max(1, SCORES // (ROWS * frames))
        for group in cut(slice(0, heads), min(heads, together), smallest=1):
            for rows in cut(slice(0, frames), max(ROWS, SCORES // (heads * frames))):
                scores = query[group, rows] @ key[group]
                out[group, rows] = torch.softmax(scores, dim=-1) @ value[group]
        return out
