"""Any plan of kernels gives transformers' answers, and each clip the same ones in any company."""

from __future__ import annotations

from typing import Any

import pytest
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.plan import Plan

from tests.parity.families import (
    COMPANY_BOUND,
    REFERENCE_BOUND,
    alone,
    clip,
    distance,
    extractor,
    reference,
    small,
)

FAMILIES = {
    "group norm": {"use_weighted_layer_sum": True},
    "layer norm": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> Any:
    return small("wav2vec2", **FAMILIES[request.param])


@pytest.mark.parametrize(
    "text",
    [
        "separate rows=1024 tile=96",
        "plain rows=16 tile=16",
        "separate rows=128 80x48=plain 48x48=fused 24x72=fused",
    ],
)
def test_a_plan_changes_no_answer(model: Any, text: str) -> None:
    encoder = PackedEncoder(model, extractor(False), "cpu", backend="onednn", plan=Plan.parse(text))
    assert encoder.operators.name == "onednn"
    batch = [clip(samples, seed) for seed, samples in enumerate((400, 51_000, 719, 16_000, 720, 8000))]
    logits = encoder(batch)
    assert distance(logits, reference(model, extractor(False), batch)) < REFERENCE_BOUND
    assert distance(logits, alone(encoder, batch)) < COMPANY_BOUND
