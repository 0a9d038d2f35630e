"""The profile on a processor: which operator is of which kind, and what the table says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from speaker_id.plan import Plan
from transformers import Wav2Vec2Config

from measure.bench import RESULTS, cpu_profile, flops
from measure.bench.cpu_profile import (
    APART,
    COPIES,
    FILE,
    KINDS,
    NORMS,
    NOTHING,
    PAGE,
    REST,
    SOFTMAX,
    kind,
    table,
)
from measure.machine import describe
from measure.results import load_json

KERNEL = 10  # samples of the first convolution's window


def event(name: str, *parts: str, shape: tuple[int, ...] = (64, 32)) -> Any:
    """An event within these parts of the encoder, the outermost last."""
    parent = None
    for part in reversed(parts):
        parent = SimpleNamespace(name=part, cpu_parent=parent, input_shapes=[])
    return SimpleNamespace(name=name, cpu_parent=parent, input_shapes=[list(shape)])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (event("mkldnn::_linear_pointwise"), flops.LINEARS),
        (event("aten::addmm", "aten::linear"), flops.LINEARS),
        (event("mkldnn::_linear_pointwise", flops.CONVOLUTIONS), flops.CONVOLUTIONS),
        (event("mkldnn::_linear_pointwise", flops.CONVOLUTIONS, shape=(64, KERNEL)), flops.FIRST),
        (event("aten::mm", flops.FIRST), flops.FIRST),
        (event("aten::bmm", "aten::matmul", flops.ATTENTION), flops.ATTENTION),
        (event("aten::bmm", "aten::matmul", flops.POSITIONAL), flops.POSITIONAL),
        (event("aten::copy_", flops.POSITIONAL), flops.POSITIONAL),
        (event("aten::copy_", "aten::clone", flops.CONVOLUTIONS), COPIES),
        (event("aten::_softmax", flops.ATTENTION), SOFTMAX),
        (event("aten::native_layer_norm"), NORMS),
        (event("aten::gelu_", flops.CONVOLUTIONS), APART),
        (event("aten::empty", flops.ATTENTION), REST),
    ],
)
def test_an_operator_is_of_a_kind_by_its_name_and_its_part_of_the_encoder(found: Any, expected: str) -> None:
    assert kind(found, KERNEL) == expected


def test_a_turn_accounts_for_all_of_its_time() -> None:
    def encode(_: Any) -> None:
        torch.softmax(torch.randn(500, 500), -1)

    spent = cpu_profile.turn(encode, torch.zeros(1).numpy(), KERNEL)
    assert list(spent) == list(KINDS)
    assert spent[SOFTMAX] > 0
    assert spent[flops.LINEARS] == 0
    assert min(spent.values()) >= 0


def test_the_values_that_go_through_a_fused_gelu_are_those_of_fused_products() -> None:
    config = Wav2Vec2Config().to_dict()
    samples = 400 + 320  # two frames

    def values(plan: Plan) -> int:
        encoder = SimpleNamespace(operators=SimpleNamespace(plan=plan))
        return cpu_profile.fused_gelus(encoder, config, samples)

    rows = 143 + 71 + 35 + 17 + 8 + 4 + 2
    assert values(Plan()) == 512 * rows + 12 * 3072 * 2
    assert values(Plan(products={"3072x768": "separate"})) == 512 * rows
    assert values(Plan(kind="plain")) == 0


def test_the_table_has_shares_and_speeds() -> None:
    spent = dict.fromkeys(KINDS, 0.0) | {flops.LINEARS: 0.8, flops.FIRST: 0.1, COPIES: 0.1}
    work = dict.fromkeys(cpu_profile.PARTS, 0.0) | {flops.LINEARS: 40e9, flops.FIRST: 1e9}
    profiled = {
        "machine": describe().model_dump(),
        "precision": "fp32",
        "plan": "rows=256 tile=48 fused",
        "peak_gflops": 100.0,
        "lengths": {"5": {"seconds": spent, "flops": work, "gelu": 0.02}},
    }
    text = table({"foreign_cores": 0.03, "profiles": [profiled]})
    assert "| the transformer's linear maps | 80.0% at 50% |" in text
    assert "| the first convolution | 10.0% at 10% |" in text
    assert "| copies | 10.0% |" in text
    assert "about | 2.0% |" in text
    assert "| all | 41% |" in text
    assert "| for a second of audio | 200 ms |" in text


def test_the_document_says_what_the_committed_profile_says() -> None:
    recorded = (RESULTS / FILE).is_file()
    text = table(load_json(RESULTS / FILE, "measure.bench.cpu_profile")) if recorded else NOTHING
    assert PAGE.filled(text) == PAGE.path.read_text("utf-8")
