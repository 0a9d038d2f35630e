"""Heads that share a backbone's pass equal each one's own model in transformers, in any company."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from speaker_id.clip import Waveform
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.encoder.packed.probe import computes_bf16
from speaker_id.encoder.reference import ReferenceEncoder
from torch import Tensor
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2ForXVector

from tests.parity.families import (
    COMPANY_BOUND,
    GPU,
    ONEDNN,
    PLACES,
    REFERENCE_BOUND,
    SMALL,
    Place,
    build,
    clip,
    distance,
    extractor,
    needs_cuda,
    packed,
    randomised,
    small,
)

needs_bf16 = pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="this processor has no bf16 arithmetic"
)
BASE = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
TDNN = {
    "tdnn_dim": (20, 20, 24),
    "tdnn_kernel": (5, 3, 1),
    "tdnn_dilation": (1, 2, 1),
    "xvector_output_dim": 16,
}
WITHOUT_LABELS = {name: value for name, value in SMALL.items() if name != "num_labels"}
LENGTHS = (400, 16_000, 3_000, 52_345, 16_000)
LONG = [1, 3, 4]  # of them, those that are long enough for an x-vector of any size


def xvector(family: str, seed: int = 9, **config: Any) -> Any:
    """A `ForXVector`; of HuBERT transformers has none, so that one is Wav2Vec2's head on HuBERT's backbone."""
    torch.manual_seed(seed)
    model = Wav2Vec2ForXVector(Wav2Vec2Config(**config))
    if family == "hubert":
        model.wav2vec2 = HubertModel(HubertConfig(**config))
    return randomised(model)


def on_one_backbone(family: str, *labels: int, **config: Any) -> list[Any]:
    """Classifiers of so many labels with layer weights of their own, the third of the last layer alone; an x-vector."""
    weighted = {"use_weighted_layer_sum": True}
    models = [
        build(family, seed, **config, **(weighted if seed != 2 else {}) | {"num_labels": count})
        for seed, count in enumerate(labels)
    ]
    models.append(xvector(family, **config, **weighted))
    backbone = getattr(models[0], models[0].base_model_prefix)
    for model in models[1:]:
        setattr(model, model.base_model_prefix, backbone)
    return models


def expected(models: list[Any], normalised: bool, batch: list[Waveform]) -> tuple[list[Tensor], list[Tensor]]:
    """Each classifier's logits by transformers, clip by clip; and the x-vectors of the long clips."""
    features = extractor(normalised)
    logits = [ReferenceEncoder(model, features, "cpu")(batch) for model in models[:-1]]
    with torch.inference_mode():
        vectors = [
            models[-1](features(waveform, sampling_rate=16_000, return_tensors="pt").input_values).embeddings[
                0
            ]
            for waveform in batch
            if is_long(waveform)
        ]
    return logits, vectors


def is_long(waveform: Waveform) -> bool:
    return len(waveform) > 6000


@pytest.fixture(scope="module")
def batch() -> list[Waveform]:
    return [clip(samples, seed) for seed, samples in enumerate(LENGTHS)]


SHAPES = {
    "wav2vec2 base": ("wav2vec2", BASE),
    "wav2vec2 large": ("wav2vec2", LARGE),
    "hubert base": ("hubert", BASE),
    "hubert large": ("hubert", LARGE),
}


@pytest.fixture(scope="module", params=SHAPES)
def models(request: pytest.FixtureRequest) -> list[Any]:
    family, shape = SHAPES[request.param]
    return on_one_backbone(family, 11, 24, 3, **{**WITHOUT_LABELS, **TDNN, **shape})


def check(logits: Tensor, vectors: Tensor, wanted: tuple[list[Tensor], list[Tensor]], bound: float) -> None:
    for part, own in zip(logits.split([len(each[0]) for each in wanted[0]], 1), wanted[0], strict=True):
        assert distance(part, own) < bound
    there = ~vectors.isnan().any(1)
    assert distance(vectors[there], torch.stack(wanted[1])) < bound


@pytest.mark.parametrize("place", PLACES)
def test_every_head_of_a_packed_pass_equals_its_own_model(
    models: list[Any], batch: list[Waveform], place: Place
) -> None:
    wanted = expected(models, True, batch)
    encoder = packed(models[0], extractor(True), place, others=models[1:])
    assert len(encoder.mixtures) == 3
    logits, vectors = encoder.embed(batch)
    check(logits, vectors, wanted, REFERENCE_BOUND)
    assert torch.equal(encoder(batch), logits), "asking for embeddings changes no logit"
    for index, waveform in enumerate(batch):
        own, vector = encoder.embed([waveform])
        assert distance(logits[index : index + 1], own) < COMPANY_BOUND
        if index in LONG:
            assert distance(vectors[index : index + 1], vector) < COMPANY_BOUND


def test_every_head_of_the_reference_encoder_equals_its_own_model(
    models: list[Any], batch: list[Waveform]
) -> None:
    wanted = expected(models, False, batch)
    calls: list[int] = []
    backbone = getattr(models[0], models[0].base_model_prefix)
    with backbone.register_forward_pre_hook(lambda *_: calls.append(1)):
        encoder = ReferenceEncoder(models[0], extractor(False), "cpu", models[1:])
        check(*encoder.embed(batch), wanted, 1e-6)
        assert len(calls) == len(batch), "the backbone runs once a clip"
    for model in models:
        setattr(model, model.base_model_prefix, backbone)


@needs_cuda
def test_the_reference_encoder_answers_on_a_gpu_as_on_a_cpu(models: list[Any], batch: list[Waveform]) -> None:
    wanted = expected(models, False, batch)
    backbone = getattr(models[0], models[0].base_model_prefix)
    check(
        *ReferenceEncoder(models[0], extractor(False), "cuda:0", models[1:]).embed(batch),
        wanted,
        REFERENCE_BOUND,
    )
    for model in models:
        setattr(model.cpu(), model.base_model_prefix, backbone.cpu())


@pytest.mark.parametrize("classes", ["packed", "reference"])
def test_the_shortest_clip_with_an_x_vector(models: list[Any], classes: str) -> None:
    """Eight frames of context, and two behind it for a standard deviation."""
    one = models[3]
    encoder: Any = (PackedEncoder if classes == "packed" else ReferenceEncoder)(one, extractor(False), "cpu")
    assert encoder.min_embedding_samples == 400 + 9 * 320
    samples = encoder.min_embedding_samples
    logits, vectors = encoder.embed([clip(samples), clip(samples - 1)])
    assert logits.shape == (2, 0)
    assert vectors.isnan().all(1).tolist() == [False, True]
    with torch.inference_mode():
        own = one(torch.from_numpy(clip(samples))[None]).embeddings
    assert distance(vectors[:1], own) < REFERENCE_BOUND


@pytest.mark.parametrize("classes", ["packed", "reference"])
def test_without_an_x_vector_the_embedding_is_the_first_heads_pooled_projection(
    models: list[Any], batch: list[Waveform], classes: str
) -> None:
    def projection(model: Any, waveform: Waveform) -> Tensor:
        found = model(torch.from_numpy(waveform)[None], output_hidden_states=True)
        weights = model.layer_weights.softmax(0)
        mixed = sum(weight * state for weight, state in zip(weights, found.hidden_states, strict=True))
        return model.projector(mixed).mean(1)

    model = models[1]
    encoder: Any = (PackedEncoder if classes == "packed" else ReferenceEncoder)(
        model, extractor(False), "cpu"
    )
    with torch.inference_mode():
        own = torch.cat([projection(model, waveform) for waveform in batch])
    assert encoder.embedding_width == SMALL["classifier_proj_size"]
    assert distance(encoder.embed(batch)[1], own) < REFERENCE_BOUND


@pytest.mark.parametrize("place", [*PLACES, pytest.param(None, id="reference")])
def test_every_classifiers_own_embedding_equals_its_own_models_in_any_company(
    models: list[Any], batch: list[Waveform], place: Place | None
) -> None:
    # by itself each model's embedding is its pooled projection: the test above
    own = [ReferenceEncoder(model, extractor(True), "cpu").embed(batch)[1] for model in models[:-1]]
    first_model, *others = copy.deepcopy(models)  # the reference encoder takes their backbones
    encoder: Any = (
        ReferenceEncoder(first_model, extractor(True), "cpu", others)
        if place is None
        else packed(first_model, extractor(True), place, others=others)
    )
    logits, found = encoder.embed(batch, (2, None, 0))
    assert torch.equal(logits, encoder(batch))
    widths = [encoder.widths[2], encoder.embedding_width, encoder.widths[0]]
    third, vectors, first = torch.split(found, widths, 1)
    assert distance(third, own[2]) < REFERENCE_BOUND
    assert distance(first, own[0]) < REFERENCE_BOUND
    assert torch.equal(vectors[LONG], encoder.embed(batch)[1][LONG])
    for index, waveform in enumerate(batch):
        _, alone = encoder.embed([waveform], (2, 0))
        assert distance(alone, torch.cat([third, first], 1)[index : index + 1]) < COMPANY_BOUND


def test_heads_of_base_size_equal_their_own_models(batch: list[Waveform]) -> None:
    """x-vectors of anton-l/wav2vec2-base-superb-sv's shape: five time-delay layers, 512 numbers."""
    models = on_one_backbone("wav2vec2", 1251, classifier_proj_size=256)
    wanted = expected(models, False, batch[:3])
    encoder = PackedEncoder(models[0], extractor(False), "cpu", others=models[1:])
    assert encoder.embedding_width == 512
    logits, vectors = encoder.embed(batch[:3])
    check(logits, vectors, wanted, REFERENCE_BOUND)
    assert distance(encoder.embed(batch[1:2])[1], vectors[1:2]) < COMPANY_BOUND


@pytest.mark.parametrize(
    "place",
    [pytest.param(ONEDNN, marks=needs_bf16, id="onednn"), pytest.param(GPU, marks=needs_cuda, id="cuda")],
)
def test_heads_stay_in_fp32_behind_a_bf16_backbone(
    models: list[Any], batch: list[Waveform], place: Place
) -> None:
    wanted = expected(models, True, batch)
    logits, vectors = packed(models[0], extractor(True), place, "bf16", models[1:]).embed(batch)
    assert (logits.dtype, vectors.dtype) == (torch.float32, torch.float32)
    check(logits, vectors, wanted, 0.2)


def test_threads_change_no_embedding(models: list[Any], batch: list[Waveform]) -> None:
    one = PackedEncoder(models[0], extractor(True), "cpu", others=models[1:]).embed(batch)
    torch.set_num_threads(3)
    try:
        three = PackedEncoder(models[0], extractor(True), "cpu", others=models[1:]).embed(batch)
    finally:
        torch.set_num_threads(1)
    assert distance(three[0], one[0]) < COMPANY_BOUND
    assert distance(three[1][LONG], one[1][LONG]) < COMPANY_BOUND


def test_a_single_head_has_one_sum_and_no_sum_of_frames() -> None:
    encoder = PackedEncoder(small("wav2vec2", **BASE), extractor(False), "cpu")
    seen: list[Any] = []
    honest = encoder.logits
    encoder.logits = lambda sums: (seen.append(sums), honest(sums))[1]  # type: ignore[method-assign]
    encoder.embed([clip(8000)])
    assert len(seen[0].means) == 1
    assert seen[0].frames is None
