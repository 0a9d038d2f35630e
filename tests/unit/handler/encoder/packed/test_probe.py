"""Private operators serve only after they were tried; the portable back end stands in, and says so once."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from speaker_id.encoder.packed import onednn, probe
from speaker_id.encoder.packed.batched.fused import FusedOperators
from speaker_id.encoder.packed.batched.operators import BatchedOperators
from speaker_id.encoder.packed.probe import choose, computes_bf16, find_fault, precisions
from torch import Tensor

CPU = torch.device("cpu")


needs_bf16 = pytest.mark.skipif(not computes_bf16(CPU), reason="this processor has no bf16 arithmetic")


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
def test_what_this_torch_has_passes_the_trial(precision: Any) -> None:
    assert choose("auto", precision, CPU).name == "onednn"
    assert choose("onednn", precision, CPU).name == "onednn"


def test_the_portable_back_end_is_there_for_the_asking() -> None:
    assert choose("portable", "fp32", CPU).name == "portable"


def operators(**replaced: Any) -> SimpleNamespace:
    real = torch.ops.mkldnn
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return SimpleNamespace(**{name: getattr(real, name) for name in names} | replaced)


def absent() -> SimpleNamespace:
    return SimpleNamespace()


def of_another_signature() -> SimpleNamespace:
    def pointwise(rows: Tensor, weight: Tensor) -> Tensor:
        return rows

    return operators(_linear_pointwise=pointwise)


def with_another_gelu() -> SimpleNamespace:
    def pointwise(rows: Tensor, weight: Tensor, bias: Tensor, attr: str, *rest: Any) -> Tensor:
        if attr != "gelu":
            return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, attr, *rest)
        plain = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return F.gelu(plain, approximate="tanh")

    pointwise.binary = torch.ops.mkldnn._linear_pointwise.binary  # type: ignore[attr-defined]
    return operators(_linear_pointwise=pointwise)


def that_forgets_the_residual() -> SimpleNamespace:
    def pointwise(*arguments: Any) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(*arguments)

    def binary(rows: Tensor, residual: Tensor, weight: Tensor, bias: Tensor, attr: str) -> Tensor:
        return pointwise(rows, weight, bias, "none", [], "")

    pointwise.binary = binary  # type: ignore[attr-defined]
    return operators(_linear_pointwise=pointwise)


def whose_rows_touch() -> SimpleNamespace:
    """What a kernel does that multiplies a neighbour's NaN by zero."""

    def pointwise(rows: Tensor, *arguments: Any) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(rows + 0 * rows.sum(0), *arguments)

    pointwise.binary = torch.ops.mkldnn._linear_pointwise.binary  # type: ignore[attr-defined]
    return operators(_linear_pointwise=pointwise)


@pytest.mark.parametrize(
    ("build", "fault"),
    [
        (absent, "AttributeError"),
        (of_another_signature, "TypeError"),
        (with_another_gelu, "linear with GELU is wrong"),
        (that_forgets_the_residual, "linear with residual is wrong"),
        (whose_rows_touch, "linear is wrong"),
    ],
)
def test_operators_that_are_missing_or_wrong_do_not_serve(
    build: Any, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in = build()
    monkeypatch.setattr(onednn, "mkldnn", stand_in)
    with caplog.at_level(logging.WARNING):
        assert choose("auto", "fp32", CPU).name == "portable"
    (record,) = caplog.records
    assert fault in record.getMessage()


def test_a_back_end_agrees_with_itself() -> None:
    portable = choose("portable", "fp32", CPU)
    assert find_fault(portable, portable) is None


def test_bf16_is_refused_where_it_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": False})
    assert not computes_bf16(CPU)
    assert precisions(CPU) == ["fp32"]
    with pytest.raises(ValueError, match=r"bf16: cpu has no bf16 arithmetic; serve with precision fp32"):
        choose("auto", "bf16", CPU)


@pytest.mark.parametrize("capability", ["avx512_bf16", "amx_bf16", "bf16"])
def test_each_kind_of_bf16_arithmetic_counts(capability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True})
    monkeypatch.setattr(probe, "onednn_may_use_bf16", lambda: True)
    assert computes_bf16(CPU)
    assert precisions(CPU) == ["fp32", "bf16"]
    monkeypatch.setattr(probe, "onednn_may_use_bf16", lambda: False)  # as ONEDNN_MAX_CPU_ISA has it
    assert precisions(CPU) == ["fp32"]


def test_onednn_is_refused_on_a_gpu() -> None:
    with pytest.raises(ValueError, match="backend onednn computes on CPUs only, not on cuda:0"):
        choose("onednn", "fp32", torch.device("cuda:0"))


def test_triton_is_refused_on_a_cpu() -> None:
    with pytest.raises(ValueError, match="backend fused computes on GPUs only, not on cpu"):
        choose("fused", "fp32", CPU)


def test_kernels_that_are_missing_or_cannot_run_are_a_fault() -> None:
    batched, fused = (kind(torch.float32, CPU) for kind in (BatchedOperators, FusedOperators))
    assert find_fault(batched, batched) is None
    assert find_fault(fused, batched)
