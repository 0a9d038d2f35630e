"""A transformers model → the plain tensors of the packed encoder, folded where that is exact.

Weight norm is folded into the positional convolution, 1/√(head size) into the queries, and the three attention
projections into one. Every tensor is a copy, made one at a time while the encoder is built: none of the model's memory
is kept, and there is never a third copy of all weights beside the model's and the back end's.
Source: transformers 5.23, modeling_wav2vec2.py and modeling_hubert.py (which differ only in names).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from speaker_id.heads.affine import Affine, copied


@dataclass(frozen=True)
class Norm:
    """A normalisation's gain and shift, both (channels,), and its epsilon."""

    weight: Tensor
    bias: Tensor
    eps: float


@dataclass(frozen=True)
class Convolution:
    """One layer of the feature extractor, time-major.

    Attributes:
        kernel, stride: in rows of the layer's input.
        affine: weight (outputs, kernel · inputs), so that a window of rows is one row of a matrix product.
        time_norm: over the whole clip's time, channel by channel: the first layer of the group-norm family.
        channel_norm: over channels, row by row: every layer of the layer-norm family.
    """

    kernel: int
    stride: int
    affine: Affine
    time_norm: Norm | None
    channel_norm: Norm | None


@dataclass(frozen=True)
class Positional:
    """The grouped convolution over time. weight: (channels, channels / groups, kernel)."""

    affine: Affine
    groups: int


@dataclass(frozen=True)
class Layer:
    """One transformer layer. qkv: (3 · hidden, hidden), its queries scaled by 1/√(head size)."""

    qkv: Affine
    out: Affine
    norm: Norm
    up: Affine
    down: Affine
    final_norm: Norm


def backbone(model: Any) -> Any:
    """Return `model.wav2vec2` or `model.hubert`."""
    return getattr(model, model.base_model_prefix)


def convolutions(model: Any) -> tuple[Convolution, ...]:
    layers = []
    over_time = model.config.feat_extract_norm == "group"
    for layer in backbone(model).feature_extractor.conv_layers:
        conv = layer.conv
        norm = _norm(layer.layer_norm) if hasattr(layer, "layer_norm") else None
        weight = copied(conv.weight).permute(0, 2, 1).flatten(1)  # (outputs, kernel, inputs), flat
        layers.append(
            Convolution(
                kernel=conv.kernel_size[0],
                stride=conv.stride[0],
                affine=Affine(weight, _optional(conv.bias)),
                time_norm=norm if over_time else None,
                channel_norm=None if over_time else norm,
            )
        )
    return tuple(layers)


def features_norm(model: Any) -> Norm | None:
    """None where HuBERT's `feat_proj_layer_norm` is off."""
    norm = getattr(backbone(model).feature_projection, "layer_norm", None)
    return None if norm is None else _norm(norm)


def projection(model: Any) -> Affine:
    return Affine.read(backbone(model).feature_projection.projection)


def positional(model: Any) -> Positional:
    conv = backbone(model).encoder.pos_conv_embed.conv
    # reading .weight multiplies weight norm's two factors; the product no longer depends on the module
    return Positional(Affine(copied(conv.weight), _optional(conv.bias)), conv.groups)


def encoder_norm(model: Any) -> Norm:
    return _norm(backbone(model).encoder.layer_norm)


def layers(model: Any) -> Iterator[Layer]:
    for layer in backbone(model).encoder.layers:
        attention = layer.attention
        query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
        yield Layer(
            qkv=Affine(
                torch.cat(
                    [copied(query.weight) * attention.scaling, *map(copied, (key.weight, value.weight))]
                ),
                torch.cat([copied(query.bias) * attention.scaling, *map(copied, (key.bias, value.bias))]),
            ),
            out=Affine.read(attention.out_proj),
            norm=_norm(layer.layer_norm),
            up=Affine.read(layer.feed_forward.intermediate_dense),
            down=Affine.read(layer.feed_forward.output_dense),
            final_norm=_norm(layer.final_layer_norm),
        )


def _norm(norm: Any) -> Norm:
    return Norm(copied(norm.weight), copied(norm.bias), norm.eps)


def _optional(parameter: Any) -> Tensor | None:
    return None if parameter is None else copied(parameter)
