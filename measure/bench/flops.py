"""Work of the model, from its config: what a machine's peak is held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIRST, CONVOLUTIONS, POSITIONAL = (
    "the first convolution",
    "the other convolutions",
    "the positional convolution",
)
LINEARS, ATTENTION = "the transformer's linear maps", "attention"


def flops(config: Mapping[str, Any], samples: int) -> float:
    """Floating point operations for one clip, a multiply-add counted as two.

    Matrix products alone: convolutions, linear maps, attention. Norms, GELU and softmax are left out, being less than
    a hundredth. For wav2vec2-base about 14.7e9 a second of audio.

    Args:
        config: config.json of a Wav2Vec2 or HuBERT checkpoint.
        samples: the clip's length.
    """
    return sum(by_part(config, samples).values())


def by_part(config: Mapping[str, Any], samples: int) -> dict[str, float]:
    """The same, part by part."""
    layers, frames, channels = [], samples, 1
    for width, kernel, stride in zip(
        config["conv_dim"], config["conv_kernel"], config["conv_stride"], strict=True
    ):
        frames = (frames - kernel) // stride + 1
        layers.append(2.0 * frames * channels * kernel * width)
        channels = width
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    groups, width = config["num_conv_pos_embedding_groups"], config["num_conv_pos_embeddings"]
    linears = 4 * hidden * hidden + 2 * hidden * inner  # q, k, v, out; up, down
    depth = config["num_hidden_layers"]
    return {
        FIRST: layers[0],
        CONVOLUTIONS: sum(layers[1:]),
        POSITIONAL: 2.0 * frames * hidden * (hidden // groups) * width,
        LINEARS: 2.0 * frames * (channels * hidden + depth * linears),  # with the features' projection
        ATTENTION: depth * 4.0 * frames * frames * hidden,  # q·k and the weighted sum of v, a row
    }
