"""int8 is measured right: its products compute the map, and the page says what the bar says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from speaker_id.encoder.packed.operators import PortableLinear
from speaker_id.encoder.packed.tuning import noise, noisy
from torch import Tensor

from measure.bench import RESULTS
from measure.bench.int8.page import FILE, PAGE, one, table, verdicts
from measure.bench.int8.quantised import Int8Linear, Observed
from measure.results import load_json
from tests.unit.measure.bench.processors import needs_exact_sums
from tests.unit.measure.bench.rows import DEFAULTS

MACHINE = {name: DEFAULTS[name] for name in ("commit", "dirty", "cpu", "cpu_flags", "cores", "versions")}
needs_int8 = pytest.mark.skipif(
    not hasattr(torch.ops.onednn, "qlinear_pointwise"),
    reason="this build of torch has no int8 products of oneDNN",
)


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@needs_int8
@needs_exact_sums
def test_an_int8_map_is_the_map_to_a_hundredth() -> None:
    affine, rows, residual = noisy(48, 96), noise(19, 96), noise(19, 48)
    exact = PortableLinear(affine, torch.float32, torch.device("cpu"))
    found = Int8Linear(affine, float(rows.min()), float(rows.max()), torch.float32)
    assert 0 < off(found(rows), exact(rows)) < 0.01
    assert off(found.gelu(rows), exact.gelu(rows)) < 0.01
    assert off(found.add(rows, residual), exact(rows) + residual) < 0.01


@needs_int8
@needs_exact_sums
def test_gelu_hands_the_next_map_what_is_quantised_already() -> None:
    first, second, rows = noisy(48, 96), noisy(24, 48), noise(19, 96)
    middle = F.gelu(F.linear(rows, first.weight, first.bias))
    one, other = (
        Int8Linear(affine, float(given.min()), float(given.max()), torch.float32)
        for affine, given in ((first, rows), (second, middle))
    )
    one.next = other
    assert one.gelu(rows).dtype == torch.uint8
    assert off(other(one.gelu(rows)), F.linear(middle, second.weight, second.bias)) < 0.02


def test_calibration_notes_the_range_that_a_map_is_given() -> None:
    seen = Observed(PortableLinear(noisy(4, 3), torch.float32, torch.device("cpu")))
    seen(torch.tensor([[1.0, -3.0, 2.0]]))
    seen.gelu(torch.tensor([[5.0, -1.0, 0.0]]))
    assert (seen.low, seen.high) == (-3.0, 5.0)


def imagined(ratio: float, kept: float, precision: str = "bf16") -> dict[str, Any]:
    answers = {precision: {"agreement": 1.0, "drift": 0.005}, "int8": {"agreement": kept, "drift": 0.03}}
    return {
        "machine": MACHINE,
        "products": {
            "precision": precision,
            "products_ms": {"a product": {precision: 4.0, "int8": 2.0, "quantising": 0.25}},
            "linear_share": 0.5,
            "bound": 1.4,
            "bound_with_quantising": 1.3,
        },
        "whole": {
            "ratio": ratio,
            "ratios": [ratio],
            "audio_seconds_a_second": {precision: 20.0, "int8": 20.0 * ratio},
        },
        "clips": 200,
        "agreement": {"a model": answers, "another": answers | {"int8": {"agreement": 1.0, "drift": 0.01}}},
    }


@pytest.mark.parametrize(
    ("ratio", "kept", "precision", "served"),
    [
        (1.26, 1.0, "bf16", True),
        (1.24, 1.0, "bf16", False),
        (1.26, 0.99, "bf16", False),
        (1.26, 1.0, "fp32", False),
        (1.51, 1.0, "fp32", True),
    ],
)
def test_int8_is_worth_serving_if_it_is_fast_enough_and_keeps_the_answers(
    ratio: float, kept: float, precision: str, served: bool
) -> None:
    found = imagined(ratio, kept, precision)
    assert all(it.met for it in verdicts(found)) == served
    assert f"int8 {'is worth serving' if served else 'is not served'}." in one(found)


def test_each_processor_has_its_part() -> None:
    found = imagined(1.3, 1.0)
    other = found | {"machine": MACHINE | {"cpu": "another processor"}}
    text = table({"a processor": found, "another processor": other})
    assert text.count("| a product | 4.00 ms | 2.00 ms | 0.25 ms | 2.00× |") == 2
    assert "**another processor, 2 cores; torch 2; commit 0123456789ab**" in text


def test_the_page_is_as_measured() -> None:
    found = load_json(RESULTS / FILE, f"python -m {PAGE.command}")
    assert PAGE.path.read_text("utf-8") == PAGE.filled(table(found)), f"run python -m {PAGE.command}"
