"""Small checkpoints in the form of the hub's, for tests of whatever reads one."""

from __future__ import annotations

import json
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
    Wav2Vec2ForXVector,
)

FAMILIES = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2ForSequenceClassification),
    "hubert": (HubertConfig, HubertForSequenceClassification),
}

# keys that published configs carry and that transformers 5 knows no more
OLD_CONFIG = {
    "freeze_feat_extract_train": True,
    "gradient_checkpointing": True,
    "mask_channel_length": 10,
    "no_mask_time_overlap": False,
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
    "torch_dtype": "float32",
    "transformers_version": "4.12.0.dev0",
}

# a classifier of about 50,000 parameters, in what all families have in common
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
    "use_weighted_layer_sum": True,
}
# its x-vectors: seven frames of context, and two behind it for a standard deviation
TDNN = {
    "tdnn_dim": (16, 16, 24),
    "tdnn_kernel": (5, 2, 1),
    "tdnn_dilation": (1, 3, 1),
    "xvector_output_dim": 12,
}
SMALL_CONV = {"conv_dim": (16,) * 7}  # of those that read waveforms


OLD_NAMES = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}


def named(labels: tuple[str, ...]) -> dict[str, Any]:
    """What a config says of the labels."""
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def write_checkpoint(
    folder: Path,
    *,
    family: str = "wav2vec2",
    pickled: bool = False,
    labels: tuple[str, ...] = ("anna", "bernd", "chloe"),
    seed: int = 0,
    backbone: int = 0,
    xvector: bool = False,
    **config: Any,
) -> Path:
    """A random classifier of `SMALL` size in the form of the hub's.

    Args:
        seed, backbone: of the head's tensors and of the backbone's: checkpoints of one `backbone` share theirs.
        xvector: `Wav2Vec2ForXVector`, of an embedding, in place of a classifier.
        pickled: `pytorch_model.bin` with `weight_g` and `weight_v`, and a config of 2021, as published then;
            else today's form.
        config: over the small configuration, e.g. `feat_extract_norm="layer"`.
    """
    configuration, architecture = FAMILIES[family]
    if xvector:
        architecture, config = Wav2Vec2ForXVector, TDNN | config
    torch.manual_seed(seed)
    model = architecture(configuration(**SMALL | SMALL_CONV | named(labels) | config))
    kind = type(getattr(model, model.base_model_prefix))
    torch.manual_seed(backbone)
    setattr(model, model.base_model_prefix, shaken(kind(model.config)))
    torch.manual_seed(seed)
    for part in [*model.children()][1:]:
        shaken(part)
    if hasattr(model, "layer_weights"):
        torch.nn.init.normal_(model.layer_weights, std=0.5)
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [architecture.__name__]
    written = model.config.to_dict() | (OLD_CONFIG if pickled else {})
    (folder / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True))
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if pickled:
        torch.save(
            {_old_name(name): tensor for name, tensor in tensors.items()}, folder / "pytorch_model.bin"
        )
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def write_heads(folder: Path) -> Path:
    """A model's folder of three heads on one backbone, one of them an x-vector."""
    write_checkpoint(folder / "speaker")
    write_checkpoint(folder / "keyword", seed=1, labels=("yes", "no"))
    write_checkpoint(folder / "voice", seed=3, xvector=True)
    heads = {name: f"./{name}" for name in ("speaker", "keyword", "voice")}
    settings = {"warmup_seconds": [0.1], "decoders": 1}
    (folder / "model.yaml").write_text(json.dumps({"heads": heads, "speaker_id": settings}))
    return folder


def shaken(module: Any) -> Any:
    """The module with noise on its tensors: initial values have many zeros and ones, which hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return module


def _old_name(name: str) -> str:
    for new, old in OLD_NAMES.items():
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name
