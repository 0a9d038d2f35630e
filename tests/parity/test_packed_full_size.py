"""The packed encoder equals transformers at the sizes that are served: base, large's shape, and trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import pytest
import torch
from hypothesis import given, settings
from speaker_id.clip import Waveform
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.encoder.packed.probe import computes_bf16
from torch import Tensor
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from tests.parity.families import (
    COMPANY_BOUND,
    GPU,
    ON_GPU,
    ONEDNN,
    PORTABLE,
    REFERENCE_BOUND,
    Place,
    alone,
    build,
    clip,
    compositions,
    distance,
    extractor,
    needs_cuda,
    packed,
    reference,
)
from training.widen import widen

DEMO = Path(__file__).resolve().parents[2] / "models" / "demo"
needs_bf16 = pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="this processor has no bf16 arithmetic"
)
PLACES = [pytest.param(PORTABLE, id="portable"), pytest.param(ONEDNN, id="onednn"), ON_GPU]
LARGE = {  # facebook/wav2vec2-large's and hubert-large's shape
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
HEAD = {"use_weighted_layer_sum": True, "classifier_proj_size": 256, "num_labels": 1251}


@pytest.fixture(scope="module")
def base() -> Any:
    return build("wav2vec2", **HEAD)


@pytest.fixture(scope="module", params=PLACES)
def base_encoder(request: pytest.FixtureRequest, base: Any) -> PackedEncoder:
    return packed(base, extractor(False), request.param)


@given(batch=compositions(longest=48_000, most=4))
@settings(max_examples=2, deadline=None)
def test_base_equals_transformers_in_any_batch(
    base: Any, base_encoder: PackedEncoder, batch: list[Waveform]
) -> None:
    logits = base_encoder(batch)
    assert distance(logits, reference(base, extractor(False), batch)) < REFERENCE_BOUND
    assert distance(logits, alone(base_encoder, batch)) < COMPANY_BOUND


@pytest.mark.parametrize("place", [pytest.param(ONEDNN, id="onednn"), ON_GPU])
def test_base_equals_transformers_on_a_clip_of_twenty_seconds_among_short_ones(
    base: Any, place: Place
) -> None:
    """Of forty seconds too at the demo's size, below, and of two minutes at a small one, in test_packed_company."""
    batch = [clip(400), clip(320_000, 1), clip(16_000, 2)]
    logits = packed(base, extractor(False), place)(batch)
    assert distance(logits, reference(base, extractor(False), batch)) < REFERENCE_BOUND


@pytest.mark.parametrize("place", [pytest.param(ONEDNN, id="onednn"), ON_GPU])
def test_large_equals_transformers(place: Place) -> None:
    model = build("hubert", **LARGE, **HEAD)
    batch = [clip(400), clip(40_000, 1), clip(12_345, 2), clip(400)]
    expected = reference(model, extractor(True), batch)
    encoder = packed(model, extractor(True), place)
    del model
    logits = encoder(batch)
    assert distance(logits, expected) < REFERENCE_BOUND
    order = [2, 0, 3, 1]
    assert distance(encoder([batch[i] for i in order]), logits[order]) < COMPANY_BOUND


@pytest.fixture(scope="module")
def demo() -> Any:
    return AutoModelForAudioClassification.from_pretrained(DEMO, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def demo_features() -> Any:
    return AutoFeatureExtractor.from_pretrained(DEMO)


@pytest.fixture(scope="module")
def voices(demo_features: Any) -> list[Waveform]:
    """The demo's recorded voices."""
    return [
        librosa.load(path, sr=demo_features.sampling_rate, mono=True)[0]
        for path in sorted((DEMO / "samples").glob("*.flac"))
    ]


@pytest.mark.parametrize("place", PLACES)
def test_the_demo_model_equals_transformers_on_recorded_voices(
    demo: Any, demo_features: Any, voices: list[Waveform], place: Place
) -> None:
    encoder = packed(demo, demo_features, place)
    batch = [*voices, clip(400), clip(640_000, 1)]
    logits = encoder(batch)
    assert distance(logits, reference(demo, demo_features, batch)) < REFERENCE_BOUND
    assert distance(logits, alone(encoder, batch)) < COMPANY_BOUND


def top(logits: Tensor) -> list[int]:
    labels: list[int] = logits.argmax(1).tolist()
    return labels


@pytest.mark.parametrize(
    "place",
    [pytest.param(ONEDNN, marks=needs_bf16, id="onednn"), pytest.param(GPU, marks=needs_cuda, id="cuda")],
)
def test_bf16_names_the_same_speakers_with_the_demo_model(
    demo: Any, demo_features: Any, voices: list[Waveform], place: Place
) -> None:
    expected = reference(demo, demo_features, voices)
    logits = packed(demo, demo_features, place, "bf16")(voices)
    assert top(logits) == top(expected)
    assert distance(logits, expected) < 0.05


@pytest.fixture(scope="module")
def widened(demo: Any) -> Any:
    """The benchmarks' checkpoint: base's shape, the demo's answers and margins."""
    return widen(demo).eval()


@pytest.fixture(scope="module")
def widened_batch(voices: list[Waveform]) -> list[Waveform]:
    return [voices[0], clip(400), *voices[5:7], voices[0]]


@pytest.fixture(scope="module")
def widened_answers(widened: Any, demo_features: Any, widened_batch: list[Waveform]) -> Tensor:
    return reference(widened, demo_features, widened_batch)


@pytest.mark.parametrize(
    ("place", "precision", "bound"),
    [
        (PORTABLE, "fp32", REFERENCE_BOUND),
        (ONEDNN, "fp32", REFERENCE_BOUND),
        pytest.param(ONEDNN, "bf16", 0.05, marks=needs_bf16),
        pytest.param(GPU, "fp32", REFERENCE_BOUND, marks=needs_cuda),
        pytest.param(GPU, "bf16", 0.05, marks=needs_cuda),
    ],
)
def test_the_widened_model_equals_transformers_on_recorded_voices(
    widened: Any,
    demo_features: Any,
    widened_batch: list[Waveform],
    widened_answers: Tensor,
    place: Place,
    precision: Any,
    bound: float,
) -> None:
    encoder = packed(widened, demo_features, place, precision)
    logits = encoder(widened_batch)
    assert distance(logits, widened_answers) < bound
    assert top(logits) == top(widened_answers)
    assert distance(encoder(widened_batch[:2]), logits[:2]) < COMPANY_BOUND
