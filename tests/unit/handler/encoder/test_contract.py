"""The reference encoder equals Hugging Face's model on one clip alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from speaker_id.encoder.contract import receptive_field, warm_up
from speaker_id.encoder.reference import ReferenceEncoder
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
)
from transformers import Wav2Vec2ForSequenceClassification as Wav2Vec2

SMALL = {
    "conv_dim": (16,) * 7,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "use_weighted_layer_sum": True,
    "classifier_proj_size": 16,
    "num_labels": 5,
}
BASE = {"feat_extract_norm": "group", "conv_bias": False, "do_stable_layer_norm": False}
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
MODELS = {
    "wav2vec2-base": lambda: Wav2Vec2(Wav2Vec2Config(**SMALL, **BASE)),
    "wav2vec2-large": lambda: Wav2Vec2(Wav2Vec2Config(**SMALL, **LARGE)),
    "hubert-base": lambda: HubertForSequenceClassification(HubertConfig(**SMALL, **BASE)),
}


def extractor(do_normalize: bool) -> Any:
    return Wav2Vec2FeatureExtractor(do_normalize=do_normalize, return_attention_mask=True)


def noise(samples: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.3 + 0.1).astype(np.float32)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    model = MODELS[request.param]().eval()
    model.layer_weights.data.normal_()
    return model


def test_logits_equal_the_bare_model(model: Any) -> None:
    wave = noise(16000)
    with torch.inference_mode():
        expected = model(torch.from_numpy(wave)[None]).logits
    torch.testing.assert_close(
        ReferenceEncoder(model, extractor(False), "cpu")([wave]), expected, rtol=0, atol=0
    )


def test_a_checkpoint_that_normalises_is_obeyed(model: Any) -> None:
    wave = noise(16000)
    # zero mean, unit variance, with the feature extractor's own 1e-7
    normal = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    with torch.inference_mode():
        expected = model(torch.from_numpy(normal)[None]).logits
    torch.testing.assert_close(
        ReferenceEncoder(model, extractor(True), "cpu")([wave]), expected, rtol=1e-5, atol=1e-6
    )


def test_company_changes_nothing(model: Any) -> None:
    encoder = ReferenceEncoder(model, extractor(True), "cpu")
    waves = [noise(n, seed) for seed, n in enumerate((400, 16000, 5000))]
    together = encoder([waves[0], np.full(9000, np.nan, np.float32), waves[1], waves[2]])[[0, 2, 3]]
    alone = torch.cat([encoder([wave]) for wave in waves])
    torch.testing.assert_close(together, alone, rtol=0, atol=0)


def test_the_shortest_clip_has_one_frame(model: Any) -> None:
    encoder = ReferenceEncoder(model, extractor(False), "cpu")
    assert encoder.min_samples == 400
    assert encoder([noise(400)]).isfinite().all()
    assert model._get_feat_extract_output_lengths(400) == 1
    assert model._get_feat_extract_output_lengths(399) == 0


def test_receptive_field_by_hand() -> None:
    # kernels 3, 2 and strides 2, 2: the last frame's 2 inputs lie 2 apart and are 3 wide
    assert receptive_field(SimpleNamespace(conv_kernel=(3, 2), conv_stride=(2, 2))) == 5


def test_a_model_without_convolutions_needs_50_ms() -> None:
    assert receptive_field(SimpleNamespace()) == 800


def test_warm_up_computes_the_embeddings_that_requests_need() -> None:
    seen: list[tuple[int, Any]] = []

    class Spy:
        min_samples = 400
        min_embedding_samples = 900

        def embed(self, waveforms: Any, sources: Any) -> None:
            seen.extend((len(wave), sources) for wave in waveforms)

    warm_up(Spy(), (0.001, 1.0), 16000, [None, 1])
    assert seen == [(900, [None, 1]), (16000, [None, 1])]


def test_warm_up_runs_each_length_and_never_less_than_a_frame() -> None:
    seen: list[int] = []

    class Spy:
        min_samples = 400

        def __call__(self, waveforms: Any) -> torch.Tensor:
            seen.extend(len(wave) for wave in waveforms)
            return torch.zeros(len(waveforms), 1)

    warm_up(Spy(), (0.001, 1.0), 16000)
    assert seen == [400, 16000]
