"""Which models the packed encoder takes, and what it says of those that it leaves to the reference encoder."""

from typing import Any

import pytest
from speaker_id.encoder.packed import PackedEncoder, supports
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WavLMConfig,
    WavLMForSequenceClassification,
)

SMALL = {
    "conv_dim": (8,) * 7,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}


def wav2vec2(**settings: Any) -> Any:
    return Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SMALL, **settings))


def hubert(**settings: Any) -> Any:
    return HubertForSequenceClassification(HubertConfig(**SMALL, **settings))


@pytest.mark.parametrize("build", [wav2vec2, hubert])
@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("stable", [False, True])
def test_both_families_are_computed(build: Any, norm: str, stable: bool) -> None:
    assert supports(build(feat_extract_norm=norm, do_stable_layer_norm=stable)) is None


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            lambda: WavLMForSequenceClassification(WavLMConfig(**SMALL)),
            "WavLMForSequenceClassification (model_type wavlm) is none of HubertForSequenceClassification, "
            "Wav2Vec2ForSequenceClassification, Wav2Vec2ForXVector",
        ),
        (lambda: wav2vec2(hidden_act="relu"), "hidden_act is 'relu', not 'gelu'"),
        (lambda: hubert(feat_extract_activation="silu"), "feat_extract_activation is 'silu', not 'gelu'"),
        (lambda: hubert(conv_pos_batch_norm=True), "conv_pos_batch_norm is set"),
        (
            lambda: wav2vec2(adapter_attn_dim=8, do_stable_layer_norm=True),
            "adapter_attn_dim is 8",
        ),
    ],
)
def test_the_reason_is_named(model: Any, reason: str) -> None:
    assert supports(model()) == reason


def test_a_subclass_may_compute_something_else() -> None:
    class Louder(Wav2Vec2ForSequenceClassification):
        pass

    assert "Louder" in (supports(Louder(Wav2Vec2Config(**SMALL))) or "")


def test_building_one_anyway_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden_act is 'relu'"):
        PackedEncoder(wav2vec2(hidden_act="relu"), Wav2Vec2FeatureExtractor(), "cpu")
