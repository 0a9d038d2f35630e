"""Small checkpoints in the form of the hub's, for tests of whatever reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

FAMILIES = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2ForSequenceClassification),
    "hubert": (HubertConfig, HubertForSequenceClassification),
}

OLD_NAMES = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}


def write_checkpoint(
    folder: Path,
    *,
    family: str = "wav2vec2",
    pickled: bool = False,
    labels: tuple[str, ...] = ("anna", "bernd", "chloe"),
    seed: int = 0,
    **config: Any,
) -> Path:
    """A random classifier of about 50,000 parameters in the form of the hub's.

    Args:
        pickled: `pytorch_model.bin` with `weight_g` and `weight_v`, as published before 2023; else safetensors.
        config: over the small configuration, e.g. `feat_extract_norm="layer"`.
    """
    configuration, architecture = FAMILIES[family]
    torch.manual_seed(seed)
    model = architecture(
        configuration(
            **{
                "conv_dim": (16,) * 7,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 64,
                "num_conv_pos_embeddings": 16,
                "num_conv_pos_embedding_groups": 4,
                "classifier_proj_size": 16,
                "use_weighted_layer_sum": True,
                "id2label": dict(enumerate(labels)),
                "label2id": {label: index for index, label in enumerate(labels)},
            }
            | config
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():  # initial values have many zeros and ones, which hide mistakes
            parameter.add_(torch.randn_like(parameter) * 0.05)
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [architecture.__name__]
    model.config.to_json_file(folder / "config.json", use_diff=False)
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if pickled:
        torch.save(
            {_old_name(name): tensor for name, tensor in tensors.items()}, folder / "pytorch_model.bin"
        )
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _old_name(name: str) -> str:
    for new, old in OLD_NAMES.items():
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name
