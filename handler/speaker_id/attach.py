"""The other heads of a checkpoint, each a transformers model around the first one's backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForAudioClassification, AutoModelForAudioXVector

from speaker_id.manifest import CheckpointError, HeadCard, backbone_prefix, check_config, is_xvector


def class_of(config: Mapping[str, Any]) -> Any:
    """Return transformers' class that loads what a `config.json` describes."""
    return AutoModelForAudioXVector if is_xvector(config) else AutoModelForAudioClassification


def attach(folder: Path, card: HeadCard, backbone: Any) -> Any:
    """Load a head strictly: every tensor used, none missing, none of another shape.

    Args:
        folder: the checkpoint, verified.
        card: the head's files in it.
        backbone: of the first head's model, in fp32.

    Raises:
        CheckpointError: what is wrong with the head's files.
    """
    content = check_config((folder / card.config).read_bytes())
    config = AutoConfig.from_pretrained(folder / card.config, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):  # the backbone is there already
        model = class_of(content).from_config(config, dtype=torch.float32)
    prefix = backbone_prefix(config.model_type)
    setattr(model, prefix.rstrip("."), backbone)
    tensors = {name: tensor.float() for name, tensor in load_file(folder / card.weights).items()}
    lacking, unknown = model.load_state_dict(tensors, strict=False, assign=True)
    if lacking := [name for name in lacking if not name.startswith(prefix)]:
        raise CheckpointError(f"{card.weights} lacks {lacking[0]}")
    if unknown:
        raise CheckpointError(f"{card.weights} holds {unknown[0]}, which the head does not have")
    return model
