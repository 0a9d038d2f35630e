"""Ours with the transformer's linear layers in int8: measured, and not served (the package says why).

Weights are int8 with a scale for each output; activations are uint8 with one scale and zero point for each linear
layer, from the smallest and largest value that it is given while calibration clips are computed. Convolutions, norms,
attention, the residual stream and the heads stay as they are. oneDNN multiplies, through the operators that torch's
compiler uses: of torch's int8 products the fastest on x86.
"""

from __future__ import annotations

from typing import Any

import torch
from speaker_id.checkpoint import Checkpoint
from speaker_id.encoder.packed import PackedEncoder, weights
from speaker_id.encoder.packed.operators import Linear
from speaker_id.encoder.packed.probe import Precision
from speaker_id.heads.affine import Affine
from speaker_id.plan import Plan
from torch import Tensor

from measure import Unavailable, workload

onednn: Any = torch.ops.onednn
NAMES = ("qkv", "out", "up", "down")  # of a layer's linear maps
LEVELS, WEIGHT_LEVELS = 255, 127  # the largest uint8, and the largest int8 of a symmetric range


class Observed:
    """A linear map that notes the range of what it is given."""

    def __init__(self, linear: Linear) -> None:
        self.linear = linear
        self.low = self.high = 0.0

    def note(self, rows: Tensor) -> Tensor:
        low, high = rows.aminmax()
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        return rows

    def __call__(self, rows: Tensor) -> Tensor:
        return self.linear(self.note(rows))

    def gelu(self, rows: Tensor) -> Tensor:
        return self.linear.gelu(self.note(rows))

    def add(self, rows: Tensor, residual: Tensor) -> Tensor:
        return self.linear.add(self.note(rows), residual)


class Int8Linear:
    """A linear map in int8, prepared once.

    Args:
        affine: the map in fp32.
        low, high: range of the activations that it is given.
        dtype: of what it returns.
    """

    def __init__(self, affine: Affine, low: float, high: float, dtype: torch.dtype) -> None:
        scales = affine.weight.abs().amax(1).clamp_min(1e-12) / WEIGHT_LEVELS
        whole = (affine.weight / scales[:, None]).round_().to(torch.int8)
        self.weight = onednn.qlinear_prepack(whole, None)
        self.weight_scales, self.weight_zeros = scales, torch.zeros(len(scales), dtype=torch.int32)
        self.bias, self.dtype = affine.bias, dtype
        self.scale = max(high - low, 1e-12) / LEVELS
        self.zero = round(-low / self.scale)
        self.next: Int8Linear | None = None  # that GELU's results go to, and nothing else

    def quantise(self, rows: Tensor) -> Tensor:
        if rows.dtype == torch.uint8:
            return rows
        scaled = rows.to(torch.float32, copy=True).mul_(1 / self.scale)
        return scaled.add_(self.zero).round_().clamp_(0, LEVELS).to(torch.uint8)

    def product(self, rows: Tensor, scale: float, zero: int, dtype: torch.dtype, after: str) -> Tensor:
        out: Tensor = onednn.qlinear_pointwise(
            *(self.quantise(rows), self.scale, self.zero, self.weight, self.weight_scales, self.weight_zeros),
            *(self.bias, scale, zero, dtype, after, [], "none"),
        )
        return out

    def __call__(self, rows: Tensor) -> Tensor:
        return self.product(rows, 1.0, 0, self.dtype, "none")

    def gelu(self, rows: Tensor) -> Tensor:
        if self.next is None:
            return self.product(rows, 1.0, 0, self.dtype, "gelu")
        return self.product(rows, self.next.scale, self.next.zero, torch.uint8, "gelu")

    def add(self, rows: Tensor, residual: Tensor) -> Tensor:
        out: Tensor = onednn.qlinear_pointwise.binary(
            *(self.quantise(rows), self.scale, self.zero, self.weight, self.weight_scales, self.weight_zeros),
            *(residual, self.bias, 1.0, 0, self.dtype, 1.0, 0, "add", 1.0, "none", [], ""),
        )
        return out


def quantised(loaded: Checkpoint, precision: Precision, plan: Plan | None) -> PackedEncoder:
    """The packed encoder whose layers multiply in int8, calibrated with the demo's clips.

    Args:
        loaded: whose model and feature extractor it is made of.
        precision: of all that is not in int8.
        plan: as the packed encoder takes it.

    Raises:
        Unavailable: torch has no such operators here.
    """
    if not hasattr(onednn, "qlinear_pointwise"):
        raise Unavailable("this build of torch has no int8 products of oneDNN")
    encoder = PackedEncoder(loaded.model, loaded.feature_extractor, "cpu", precision, plan=plan)
    for layer in encoder.layers:
        for name in NAMES:
            setattr(layer, name, Observed(getattr(layer, name)))
    for voice in workload.voices(loaded.sampling_rate).values():
        for clip in voice:
            encoder([clip])
    for layer, weight in zip(encoder.layers, weights.layers(loaded.model), strict=True):
        made: dict[str, Int8Linear] = {}
        for name in NAMES:
            seen: Observed = getattr(layer, name)
            made[name] = Int8Linear(getattr(weight, name), seen.low, seen.high, encoder.operators.dtype)
            setattr(layer, name, made[name])
        made["up"].next = made["down"]
    return encoder
