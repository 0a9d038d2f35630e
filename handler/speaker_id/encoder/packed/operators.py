"""What the packed encoder requires of a back end, and the portable one in plain torch (CPU or CUDA).

A back end prepares each weight once and computes on packed rows, (frames, channels). It knows no clips: operations
along time are called for one clip at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.encoder.packed.weights import Norm
from speaker_id.heads.affine import Affine

Map = Callable[[Tensor], Tensor]  # rows → rows, (frames, channels)


class Linear(Protocol):
    """A linear map with its weight prepared. Rows: (frames, inputs) → (frames, outputs)."""

    def __call__(self, rows: Tensor) -> Tensor: ...

    def gelu(self, rows: Tensor) -> Tensor:
        """Compute GELU of the map."""
        ...

    def add(self, rows: Tensor, residual: Tensor) -> Tensor:
        """Compute the map plus a residual of shape (frames, outputs)."""
        ...


class Operators(Protocol):
    """A back end, at one precision.

    Attributes:
        name: for logs.
        dtype: of activations and prepared weights.
        device: of both.
        chunk: rows that a chain of linear maps computes at once, so that intermediate results stay in cache.
        tile: frames of a clip that the convolutions compute at once, for the same reason.
        step: a product's rows are a multiple of it, where each number of rows needs a kernel of its own.
        whole: whether all clips are computed at once (`batched`), instead of one after the other.
    """

    name: str
    dtype: torch.dtype
    device: torch.device
    chunk: int
    tile: int
    step: int
    whole: bool

    def linear(self, affine: Affine) -> Linear: ...

    def norm(self, norm: Norm) -> Map:
        """Layer norm over channels."""
        ...

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Compute one clip's attention: (heads, frames, head size) → the same. Queries are already scaled."""
        ...


class PortableLinear:
    def __init__(self, affine: Affine, dtype: torch.dtype, device: torch.device) -> None:
        self.weight = affine.weight.to(device, dtype)
        self.bias = None if affine.bias is None else affine.bias.to(device, dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        return F.linear(rows, self.weight, self.bias)

    def gelu(self, rows: Tensor) -> Tensor:
        return gelu(self(rows))

    def add(self, rows: Tensor, residual: Tensor) -> Tensor:
        return self(rows).add_(residual)


def gelu(rows: Tensor) -> Tensor:
    """Compute GELU by the error function, in place."""
    out: Tensor = torch.ops.aten.gelu_(rows)
    return out


class PortableOperators:
    """Plain torch."""

    name = "portable"
    step = 1
    whole = False

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        # on CPUs the speed hardly depends on either (`tuning` times others); a GPU is fastest with all at once
        self.chunk, self.tile = (256, 48) if device.type == "cpu" else (1 << 16, 1 << 12)

    def linear(self, affine: Affine) -> Linear:
        return PortableLinear(affine, self.dtype, self.device)

    def norm(self, norm: Norm) -> Map:
        weight, bias = norm.weight.to(self.device, self.dtype), norm.bias.to(self.device, self.dtype)
        return lambda rows: F.layer_norm(rows, weight.shape, weight, bias, norm.eps)

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        # flash attention: never a (frames, frames) matrix in memory
        return F.scaled_dot_product_attention(query[None], key[None], value[None], scale=1.0)[0]
