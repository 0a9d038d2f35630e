"""Which back end serves. The fast one's operators are private to torch, so each is first tested on small data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.encoder.packed.batched.fused import FusedOperators
from speaker_id.encoder.packed.batched.layout import Layout
from speaker_id.encoder.packed.batched.operators import BatchedOperators
from speaker_id.encoder.packed.onednn import OneDnnOperators
from speaker_id.encoder.packed.operators import Operators, PortableOperators
from speaker_id.encoder.packed.weights import Norm, Positional
from speaker_id.heads.affine import Affine
from speaker_id.plan import KINDS, Kind, Plan

Precision = Literal["fp32", "bf16"]
Backend = Literal["auto", "portable", "onednn", "batched", "fused"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
PLAIN = {"portable": PortableOperators, "batched": BatchedOperators}
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}  # of values near 1; a few units in the last place

logger = logging.getLogger(__name__)


def choose(
    backend: Backend, precision: Precision, device: torch.device, plan: Plan | None = None
) -> Operators:
    """Return the requested back end, or the plain one with a warning where a fast one's operators are missing or wrong.

    Args:
        backend, precision, device: of the encoder.
        plan: for a CPU's fast back end.

    Raises:
        ValueError: the device has no bf16 arithmetic, or the back end is for another kind of device.
    """
    if precision == "bf16" and not computes_bf16(device):
        raise ValueError(f"precision bf16: {device} has no bf16 arithmetic; serve with precision fp32")
    if (only := {"onednn": "cpu", "fused": "cuda"}.get(backend, device.type)) != device.type:
        kind = {"cpu": "CPUs", "cuda": "GPUs"}[only]
        raise ValueError(
            f"backend {backend} computes on {kind} only, not on {device}; choose auto or portable"
        )
    dtype = DTYPES[precision]
    if backend in PLAIN:
        return PLAIN[backend](dtype, device)
    trusted: Operators
    found: Operators
    if device.type == "cpu":
        trusted, found = PortableOperators(dtype, device), OneDnnOperators(dtype, device, plan)
        trials: list[Operators] = [
            OneDnnOperators(dtype, device, Plan(kind=kind)) for kind in found.plan.kinds
        ]
    else:
        trusted, found = BatchedOperators(dtype, device), FusedOperators(dtype, device)
        trials = [found]
    if fault := next(filter(None, (find_fault(trial, trusted) for trial in trials)), None):
        logger.warning(
            "the %s back end cannot serve (%s): the %s one does, slower", found.name, fault, trusted.name
        )
        return trusted
    return found


def usable(dtype: torch.dtype) -> tuple[Kind, ...]:
    """Return the kinds of linear maps that a CPU's fast back end may use here."""
    cpu = torch.device("cpu")
    trusted = PortableOperators(dtype, cpu)
    return tuple(
        kind for kind in KINDS if find_fault(OneDnnOperators(dtype, cpu, Plan(kind=kind)), trusted) is None
    )


def computes_bf16(device: torch.device) -> bool:
    """Return whether the device computes bf16 in hardware; emulated, it is slower than fp32.

    A processor has it only if oneDNN uses it too: ONEDNN_MAX_CPU_ISA may forbid that.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    if not any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16")):
        return False
    return onednn_may_use_bf16()


def onednn_may_use_bf16() -> bool:
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is None or bool(supported())


def precisions(device: torch.device) -> list[Precision]:
    """Return the precisions that the device computes in hardware; others are neither served nor measured."""
    return ["fp32", "bf16"] if computes_bf16(device) else ["fp32"]


@torch.inference_mode()
def find_fault(operators: Operators, trusted: Operators) -> str | None:
    """Return what is missing or wrong in a back end; None if it computes what the trusted one does."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(operators.device)

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
            if isinstance(operators, BatchedOperators) and isinstance(trusted, BatchedOperators):
                outcomes |= batched_outcomes(operators, trusted, noise)
        except Exception as exc:  # missing, of another signature, or not to be compiled
            return f"{type(exc).__name__}: {str(exc).splitlines()[0]}"
        for name, (value, reference) in outcomes.items():
            if not agree(value, reference):
                return f"{name} is wrong"
    return None


def batched_outcomes(
    operators: BatchedOperators, trusted: BatchedOperators, noise: Callable[..., Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    layout = Layout([330, 9], [37, 1], 9, operators.device)
    signal, clips = noise(9 * 40), layout.of_hops(torch.arange(2, device=operators.device))
    signal[331:333] = float("nan")  # between the clips
    windows = signal.as_strided((layout.hops, 3, 5), (9, 3, 1))
    weights = (noise(2, 5, 40), noise(2, 40), clips)
    rows = noise(layout.rows, 40).to(operators.dtype)
    rows[37] = float("nan")
    qkv = noise(layout.rows, 3 * 32).to(operators.dtype)
    norm, final = Norm(noise(40), noise(40), 1e-5), noise(layout.rows, 40).to(operators.dtype)
    adds = [each.add_norm(norm, keep=True) for each in (operators, trusted)]
    sums = [add(rows.clone(), final) for add in adds]
    outcomes = {
        "sum": (sums[0][0], sums[1][0]),
        "norm of a sum": (sums[0][1], sums[1][1]),
        "the first layer": (operators.first_layer(windows, *weights), trusted.first_layer(windows, *weights)),
        "means": (operators.means(rows, layout), trusted.means(rows, layout)),
        "attention of a batch": (operators.attend(qkv, layout, 2), trusted.attend_in_turn(qkv, layout, 2)),
    }
    affine, rows = Affine(noise(96, 48, 4) / 14, noise(96)), noise(50, 96).to(operators.dtype)
    if grouped := operators.grouped(Positional(affine, groups=2)):
        expected = F.conv1d(rows.t()[None].float(), affine.weight, affine.bias, groups=2).to(rows.dtype)
        outcomes["the positional convolution"] = (grouped(rows), F.gelu(expected[0].T))
    return outcomes


def agree(value: Tensor, reference: Tensor) -> bool:
    tolerance = TOLERANCES[reference.dtype]
    return value.shape == reference.shape and bool(
        torch.isclose(value, reference, rtol=tolerance, atol=tolerance, equal_nan=True).all()
    )
