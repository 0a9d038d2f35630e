"""Which back end serves. The fast one's operators are private to torch, so each is first tested on small data."""

from __future__ import annotations

import logging
from typing import Literal

import torch
from torch import Tensor

from speaker_id.encoder.packed.onednn import OneDnnOperators
from speaker_id.encoder.packed.operators import Operators, PortableOperators
from speaker_id.heads.affine import Affine

Precision = Literal["fp32", "bf16"]
Backend = Literal["auto", "portable", "onednn"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}  # of values near 1; a few units in the last place

logger = logging.getLogger(__name__)


def choose(backend: Backend, precision: Precision, device: torch.device) -> Operators:
    """Return the requested back end, or the portable one with a warning where oneDNN's operators are missing or wrong.

    Raises:
        ValueError: the processor has no bf16 arithmetic, or oneDNN is requested for a GPU.
    """
    if precision == "bf16" and not computes_bf16(device):
        raise ValueError(f"precision bf16: {device} has no bf16 arithmetic; serve with precision fp32")
    if backend == "onednn" and device.type != "cpu":
        raise ValueError(f"backend onednn computes on CPUs only, not on {device}; choose auto or portable")
    portable = PortableOperators(DTYPES[precision], device)
    if backend == "portable" or device.type != "cpu":
        return portable
    fast = OneDnnOperators(DTYPES[precision], device)
    if fault := find_fault(fast, portable):
        logger.warning(
            "oneDNN's fused operators cannot serve (%s): the portable back end does, slower", fault
        )
        return portable
    return fast


def computes_bf16(device: torch.device) -> bool:
    """Return whether the device computes bf16 in hardware; emulated, it is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def precisions(device: torch.device) -> list[Precision]:
    """Return the precisions that the device computes in hardware; others are neither served nor measured."""
    return ["fp32", "bf16"] if computes_bf16(device) else ["fp32"]


@torch.inference_mode()
def find_fault(operators: Operators, trusted: Operators) -> str | None:
    """Return what is missing or wrong in a back end; None if it computes what the trusted one does."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    stretch = noise(40, 32).to(operators.dtype)
    stretch[7] = float("nan")  # of a neighbour: must not spread
    windows = stretch.as_strided((19, 96), (64, 1))  # overlapping, as the convolutions' are
    residual = noise(19, 48).to(operators.dtype)
    heads = noise(3, 4, 37, 16).to(operators.dtype)
    for bias in (None, noise(48)):
        affine = Affine(noise(48, 96) / 96**0.5, bias)
        try:
            found, expected = operators.linear(affine), trusted.linear(affine)
            outcomes = {
                "linear": (found(windows), expected(windows)),
                "linear with GELU": (found.gelu(windows), expected.gelu(windows)),
                "linear with residual": (found.add(windows, residual), expected.add(windows, residual)),
                "attention": (operators.attention(*heads), trusted.attention(*heads)),
            }
        except (AttributeError, RuntimeError, TypeError) as exc:  # missing, or with another signature
            return f"{type(exc).__name__}: {str(exc).splitlines()[0]}"
        for name, (value, reference) in outcomes.items():
            if not agree(value, reference):
                return f"{name} is wrong"
    return None


def agree(value: Tensor, reference: Tensor) -> bool:
    tolerance = TOLERANCES[reference.dtype]
    return value.shape == reference.shape and bool(
        torch.isclose(value, reference, rtol=tolerance, atol=tolerance, equal_nan=True).all()
    )
