"""The fast back end for GPUs: torch's products, and kernels of our own around them (`kernels`)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from speaker_id.encoder.packed.batched.layout import Index, Layout
from speaker_id.encoder.packed.batched.operators import BatchedOperators
from speaker_id.encoder.packed.operators import Linear, Map, PortableLinear
from speaker_id.encoder.packed.weights import Norm, Positional
from speaker_id.heads.affine import Affine


class WindowLinear(PortableLinear):
    """Overlapping windows are multiplied where they are; cuBLAS would have them copied first."""

    def __init__(self, affine: Affine, dtype: torch.dtype, device: torch.device) -> None:
        from speaker_id.encoder.packed.batched import kernels

        super().__init__(affine, dtype, device)
        self.windows = kernels.windows
        self.exact_bias = None if affine.bias is None else affine.bias.to(device)

    def __call__(self, rows: Tensor) -> Tensor:
        return self.overlapping(rows, gelu=False) if overlap(rows) else super().__call__(rows)

    def gelu(self, rows: Tensor) -> Tensor:
        return self.overlapping(rows, gelu=True) if overlap(rows) else super().gelu(rows)

    def overlapping(self, rows: Tensor, gelu: bool) -> Tensor:
        return self.windows(rows[None], self.weight[None], self.exact_bias, gelu)


def overlap(rows: Tensor) -> bool:
    return rows.stride(0) < rows.shape[1]


class FusedOperators(BatchedOperators):
    """bf16 products of windows are Triton's; those of fp32 are cuBLAS's, since Triton's are slower."""

    name = "fused"

    def linear(self, affine: Affine) -> Linear:
        kind = PortableLinear if self.dtype == torch.float32 else WindowLinear
        return kind(affine, self.dtype, self.device)

    def add_norm(self, norm: Norm, keep: bool) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        from speaker_id.encoder.packed.batched import kernels

        weight, bias = norm.weight.to(self.device), norm.bias.to(self.device)
        return lambda rows, residual: kernels.add_norm(rows, residual, weight, bias, norm.eps, keep)

    def grouped(self, weights: Positional) -> Map | None:
        from speaker_id.encoder.packed.batched import kernels

        if self.dtype == torch.float32:
            return None
        channels, width, kernel = weights.affine.weight.shape
        # (groups, outputs of a group, kernel · width), so that a window of rows is one row of a product
        weight = weights.affine.weight.to(self.device, self.dtype).transpose(1, 2)
        weight = weight.reshape(weights.groups, channels // weights.groups, -1)
        bias = None if weights.affine.bias is None else weights.affine.bias.to(self.device)

        def convolve(rows: Tensor) -> Tensor:
            parts = rows.view(len(rows), weights.groups, width).transpose(0, 1).contiguous()
            shape = (weights.groups, len(rows) - kernel + 1, kernel * width)
            return kernels.windows(
                parts.as_strided(shape, (parts.stride(0), width, 1)), weight, bias, gelu=True
            )

        return convolve

    def first_layer(self, windows: Tensor, weight: Tensor, bias: Tensor, clips: Index) -> Tensor:
        from speaker_id.encoder.packed.batched import kernels

        return kernels.first_layer(windows, weight, bias, clips, self.dtype)

    def means(self, hidden: Tensor, layout: Layout) -> Tensor:
        from speaker_id.encoder.packed.batched import kernels

        return kernels.means(hidden, layout.ends)
