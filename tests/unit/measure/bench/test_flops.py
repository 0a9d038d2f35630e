"""The model's work, counted by hand and against the figure for wav2vec2-base."""

import pytest
from transformers import Wav2Vec2Config

from measure.bench.flops import flops

TINY = {
    "conv_dim": [2, 4],
    "conv_kernel": [4, 2],
    "conv_stride": [2, 2],
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_conv_pos_embedding_groups": 2,
    "num_conv_pos_embeddings": 6,
}


def test_a_tiny_model_counted_by_hand() -> None:
    """14 samples → (14 - 4) // 2 + 1 = 6 frames → (6 - 2) // 2 + 1 = 3 frames."""
    first = 2 * 6 * (1 * 4) * 2
    second = 2 * 3 * (2 * 2) * 4
    projection = 2 * 3 * 4 * 8
    positional = 2 * 3 * 8 * (8 // 2) * 6
    linears = 2 * 3 * (4 * 8 * 8 + 2 * 8 * 16)
    attention = 2 * (3 * 3 * 8) * 2
    assert flops(TINY, 14) == first + second + projection + positional + 3 * (linears + attention)


def test_wav2vec2_base_takes_about_14_7_gflop_a_second_of_audio() -> None:
    config = Wav2Vec2Config().to_dict()
    assert flops(config, 16_000 * 8) / 8 == pytest.approx(14.7e9, rel=0.03)


def test_attention_grows_with_the_square_of_the_length() -> None:
    without = flops(TINY | {"num_hidden_layers": 0}, 4000)
    short, long = flops(TINY, 4000), flops(TINY, 8000)
    assert long > 2 * short > 2 * without
