"""The packed encoder equals transformers on each clip alone: every family, every composition of a batch."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speaker_id.clip import Waveform
from speaker_id.encoder.packed import PackedEncoder, supports
from speaker_id.encoder.packed.probe import computes_bf16

from tests.parity.families import (
    COMPANY_BOUND,
    GPU,
    ONEDNN,
    PLACES,
    REFERENCE_BOUND,
    Place,
    alone,
    clip,
    compositions,
    distance,
    extractor,
    needs_cuda,
    packed,
    reference,
    small,
)

needs_bf16 = pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="this processor has no bf16 arithmetic"
)
BASE = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WEIGHTED = {"use_weighted_layer_sum": True}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2 base": ("wav2vec2", BASE | WEIGHTED),
    "wav2vec2 large": ("wav2vec2", LARGE | WEIGHTED),
    "hubert base": ("hubert", BASE | WEIGHTED),
    "hubert large": ("hubert", LARGE | WEIGHTED),
    "last layer only, base": ("wav2vec2", BASE),
    "last layer only, large": ("hubert", LARGE),
    "other widths, odd positional kernel": (
        "wav2vec2",
        BASE
        | WEIGHTED
        | {
            "conv_dim": (8, 16, 24),
            "conv_kernel": (7, 4, 1),
            "conv_stride": (4, 3, 2),
            "hidden_size": 60,
            "num_attention_heads": 5,
            "num_conv_pos_embeddings": 9,
            "num_conv_pos_embedding_groups": 3,
            "num_labels": 5,
        },
    ),
    "no norm before the projection": ("hubert", BASE | {"feat_proj_layer_norm": False}),
}


@pytest.fixture(scope="module", params=VARIANTS)
def model(request: pytest.FixtureRequest) -> Any:
    family, config = VARIANTS[request.param]
    return small(family, **config)


@pytest.fixture(scope="module", params=PLACES)
def encoder(request: pytest.FixtureRequest, model: Any) -> PackedEncoder:
    return packed(model, extractor(do_normalize=True), request.param)


@given(data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_batch_gives_each_clip_the_answer_it_gets_alone(
    model: Any, encoder: PackedEncoder, data: st.DataObject
) -> None:
    batch: list[Waveform] = data.draw(compositions(longest=encoder.convolutions.hop * 500))
    logits = encoder(batch)
    assert distance(logits, reference(model, extractor(do_normalize=True), batch)) < REFERENCE_BOUND
    assert distance(logits, alone(encoder, batch)) < COMPANY_BOUND


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_every_combination_of_a_familys_settings(family: str, place: Place) -> None:
    batch = [clip(400), clip(5000, 1), clip(21_000, 2), clip(721, 3)]
    for norm, stable, bias, weighted, normalised in itertools.product(
        ("group", "layer"), (False, True), (False, True), (False, True), (False, True)
    ):
        config = {
            "feat_extract_norm": norm,
            "do_stable_layer_norm": stable,
            "conv_bias": bias,
            "use_weighted_layer_sum": weighted,
        }
        model, features = small(family, **config), extractor(normalised)
        assert supports(model) is None
        logits = packed(model, features, place)(batch)
        assert distance(logits, reference(model, features, batch)) < REFERENCE_BOUND, config


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tied", [None, False, True])
def test_the_last_of_the_weighted_states_is_the_one_that_transformers_records(
    place: Place, tied: bool | None
) -> None:
    model = small("wav2vec2", **LARGE, **WEIGHTED)
    model.config.tie_last_hidden_states = (
        tied  # transformers 4 and s3prl: the normalised state, as True gives
    )
    batch = [clip(9000)]
    logits = packed(model, extractor(True), place)(batch)
    assert distance(logits, reference(model, extractor(True), batch)) < REFERENCE_BOUND


def test_the_two_candidates_for_the_last_state_differ() -> None:
    model, answers = small("wav2vec2", **LARGE, **WEIGHTED), []
    for tied in (False, True):
        model.config.tie_last_hidden_states = tied
        answers.append(PackedEncoder(model, extractor(True), "cpu")([clip(9000)]))
    assert distance(*answers) > 0.01


@pytest.mark.parametrize(
    ("place", "precision", "bound"),
    [
        (ONEDNN, "fp32", REFERENCE_BOUND),
        pytest.param(ONEDNN, "bf16", 0.1, marks=needs_bf16),
        pytest.param(GPU, "fp32", REFERENCE_BOUND, marks=needs_cuda),
        pytest.param(GPU, "bf16", 0.1, marks=needs_cuda),
    ],
)
def test_logits_past_the_range_of_half_precision_stay_exact(
    place: Place, precision: Any, bound: float
) -> None:
    model = small("hubert", **BASE, **WEIGHTED)
    with torch.no_grad():
        model.classifier.weight.mul_(1e6)
    batch = [clip(16_000), clip(400)]
    expected = reference(model, extractor(False), batch)
    assert expected.abs().max() > 65_504
    logits = packed(model, extractor(False), place, precision)(batch)
    assert logits.dtype == torch.float32
    assert distance(logits, expected) < bound
