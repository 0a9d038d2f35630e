"""Widening keeps the function, is seeded, and gives exactly wav2vec2-base's shape.

The function is checked at a quarter of base's width; ``python -m training.widen`` checks it at full width, every time.
"""

import copy

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

from training import widen as widening
from training.train import demo_config
from training.widen import NOISE, TOLERANCE, base_config, disagreement, replicas, widen


@pytest.fixture(scope="module")
def small() -> Wav2Vec2ForSequenceClassification:
    torch.manual_seed(1)
    model = Wav2Vec2ForSequenceClassification(demo_config()).eval()
    for weight in model.parameters():  # biases and norms start at 0 and 1, which would hide mistakes
        weight.data += 0.1 * torch.randn_like(weight)
    return model


def quarter_of_base(source: Wav2Vec2Config, heads: int) -> Wav2Vec2Config:
    quarter = copy.deepcopy(base_config(source))
    quarter.conv_dim = (128,) * 7
    quarter.hidden_size = 256
    quarter.num_attention_heads = heads
    quarter.intermediate_size = 768
    quarter.num_hidden_layers = 5
    return quarter


@pytest.fixture(autouse=True)
def quarter_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widening, "base_config", lambda source: quarter_of_base(source, heads=8))


def test_the_logits_stay_the_same(small: Wav2Vec2ForSequenceClassification) -> None:
    assert disagreement(small, widen(small)) < TOLERANCE


def test_heads_of_another_width_are_as_sharp(
    small: Wav2Vec2ForSequenceClassification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many heads, each twice as wide: attention divides by another root."""
    monkeypatch.setattr(widening, "base_config", lambda source: quarter_of_base(source, heads=4))
    assert disagreement(small, widen(small)) < TOLERANCE


def test_replicas_differ(small: Wav2Vec2ForSequenceClassification) -> None:
    """Channels that are copies of each other still have weights of their own."""
    weight = widen(small).wav2vec2.encoder.layers[0].attention.q_proj.weight
    one, other = weight[:, 0], weight[:, 1]  # two replicas of the first input channel
    assert (one - other).std() > NOISE / 2 * weight.std()


def test_equal_seeds_give_equal_bits_and_others_do_not(small: Wav2Vec2ForSequenceClassification) -> None:
    first, again, other = (widen(small, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    kernel = "wav2vec2.encoder.layers.0.attention.q_proj.weight"
    fresh = "wav2vec2.encoder.layers.4.attention.q_proj.weight"
    assert not torch.equal(first[kernel], other[kernel])
    assert not torch.equal(first[fresh], other[fresh])


def test_the_global_seed_is_left_alone(small: Wav2Vec2ForSequenceClassification) -> None:
    torch.manual_seed(5)
    widen(small)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_full_size_is_exactly_wav2vec2_base() -> None:
    """The numbers of facebook/wav2vec2-base's config.json, not this library's defaults."""
    config = base_config(demo_config())
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (12, 768, 3072)
    assert (config.num_attention_heads, config.conv_bias, config.feat_extract_norm) == (12, False, "group")
    assert list(config.conv_dim) == [512] * 7
    assert list(config.conv_kernel) == [10, 3, 3, 3, 3, 2, 2]
    assert list(config.conv_stride) == [5, 2, 2, 2, 2, 2, 2]
    assert (config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups) == (128, 16)
    assert (config.do_stable_layer_norm, config.use_weighted_layer_sum, config.classifier_proj_size) == (
        False,
        True,
        256,
    )
    with torch.device("meta"):
        model = Wav2Vec2ForSequenceClassification(config)
    assert sum(weight.numel() for weight in model.parameters()) == 94_569_363


def test_a_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="100 channels cannot be replicated to 768"):
        replicas(100, 768)
