"""Work of the model, from its config: what a machine's peak is held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flops(config: Mapping[str, Any], samples: int) -> float:
    """Floating point operations for one clip, a multiply-add counted as two.

    Matrix products alone: convolutions, linear maps, attention. Norms, GELU and softmax are left out, being less than
    a hundredth. For wav2vec2-base about 14.7e9 a second of audio.

    Args:
        config: config.json of a Wav2Vec2 or HuBERT checkpoint.
        samples: the clip's length.
    """
    total, frames, channels = 0.0, samples, 1
    for width, kernel, stride in zip(
        config["conv_dim"], config["conv_kernel"], config["conv_stride"], strict=True
    ):
        frames = (frames - kernel) // stride + 1
        total += 2 * frames * channels * kernel * width
        channels = width
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    total += 2 * frames * channels * hidden  # feature projection
    groups, width = config["num_conv_pos_embedding_groups"], config["num_conv_pos_embeddings"]
    total += 2 * frames * hidden * (hidden // groups) * width
    linears = 4 * hidden * hidden + 2 * hidden * inner  # q, k, v, out; up, down
    attention = 2 * frames * hidden  # q·k and the weighted sum of v, a row
    total += config["num_hidden_layers"] * 2 * frames * (linears + attention)
    return float(total)
