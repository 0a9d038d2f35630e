"""A transformers model → its head, with tensors of its own: none of the model's memory is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from speaker_id.heads.affine import Affine, copied
from speaker_id.heads.classification import Classification
from speaker_id.heads.contract import Head, Mixture
from speaker_id.heads.xvector import TimeDelay, XVector


def read(model: Any, device: torch.device) -> Head:
    """Return the head of a `ForSequenceClassification` or a `ForXVector`, on the device, in fp32."""
    classifier, projector = Affine.read(model.classifier).to(device), getattr(model, "projector", None)
    projection = None if projector is None else Affine.read(projector).to(device)
    if not is_xvector(model):
        return Classification(mixture(model), projection, classifier)
    assert projection is not None
    delays = [time_delay(layer).to(device) for layer in model.tdnn]
    affine = Affine.read(model.feature_extractor).to(device)
    return XVector(mixture(model), projection, delays, affine, classifier, min_frames(model.tdnn))


def is_xvector(model: Any) -> bool:
    return hasattr(model, "tdnn")


def of_embedding(models: Sequence[Any]) -> int:
    """Return the index of the model whose embedding answers for all of them: the first x-vector, else the first."""
    return next((index for index, model in enumerate(models) if is_xvector(model)), 0)


def min_frames(layers: Iterable[Any]) -> int:
    """Return the frames that leave two behind time-delay layers: of one there is no standard deviation."""
    lost: int = sum((layer.kernel_size - 1) * layer.dilation for layer in layers)
    return 2 + lost


def time_delay(layer: Any) -> TimeDelay:
    # a row of the kernel's linear map is a window of frames, one after the other
    weight = copied(layer.kernel.weight).view(layer.out_conv_dim, layer.kernel_size, layer.in_conv_dim)
    return TimeDelay(weight.transpose(1, 2).contiguous(), copied(layer.kernel.bias), layer.dilation)


def mixture(model: Any) -> Mixture:
    """Return the layer weights of a head.

    The plain head takes `last_hidden_state`, which has passed the encoder's norm. The weighted sum takes what
    transformers records: since its version 5 the last layer's bare output, unless the config's
    `tie_last_hidden_states` says otherwise, as `checkpoint.load` makes it do.
    """
    config = model.config
    if config.use_weighted_layer_sum:
        shares = tuple(torch.softmax(copied(model.layer_weights), dim=-1).tolist())
        tied = bool(getattr(config, "tie_last_hidden_states", False))
        return Mixture(shares, config.do_stable_layer_norm and tied)
    return Mixture((*(0.0,) * config.num_hidden_layers, 1.0), bool(config.do_stable_layer_norm))
