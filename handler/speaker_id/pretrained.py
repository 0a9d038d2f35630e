"""A checkpoint folder → transformers' models, one around the backbone of the first for each further head.

Importing this takes seconds: a worker does so only for a model that the packed encoder does not compute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    AutoModelForAudioXVector,
)
from transformers.utils import logging

from speaker_id.manifest import (
    CheckpointError,
    HeadCard,
    Manifest,
    backbone_prefix,
    check_config,
    is_xvector,
)
from speaker_id.parameters import check_tensors

# what transformers raises for an invalid config or weights file
UNLOADABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError, StrictDataclassError)
OFFLINE = {"local_files_only": True, "trust_remote_code": False}
COMPILED = "TORCHINDUCTOR_CACHE_DIR"  # where torch's compiler keeps what it has compiled


def class_of(config: Mapping[str, Any]) -> Any:
    """Return transformers' class that loads what a `config.json` describes."""
    _load_compiler()
    return AutoModelForAudioXVector if is_xvector(config) else AutoModelForAudioClassification


@cache
def _load_compiler() -> None:
    """Import torch's compiler, as transformers' models do, without the empty folder that this leaves in TMPDIR.

    The import creates the folder of compiled code, and names it in the environment, which child processes inherit.
    Nothing is compiled here.
    """
    given = os.environ.get(COMPILED)
    with TemporaryDirectory() as folder:
        os.environ[COMPILED] = given or folder
        try:
            # here, not above: it takes long, and only models of transformers need it
            import torch._dynamo  # noqa: F401
        finally:
            if given is None:
                del os.environ[COMPILED]


def read(folder: Path, manifest: Manifest, content: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """Load strictly: every tensor used, none missing, none of another shape.

    Args:
        folder: the checkpoint, verified.
        manifest: its.
        content: its `config.json`.

    Returns:
        The models, in fp32, and the feature extractor.

    Raises:
        CheckpointError: what is wrong with the folder, in one line.
    """
    try:
        with quiet():
            model, info = class_of(content).from_pretrained(
                folder,
                dtype=torch.float32,  # without it transformers 5 keeps the stored type
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # so that they are listed in `info`, and named below
                output_loading_info=True,
                **OFFLINE,
            )
            feature_extractor = AutoFeatureExtractor.from_pretrained(folder, **OFFLINE)
            backbone = getattr(model, model.base_model_prefix)
            others = [attach(folder, card, backbone) for card in [*manifest.heads.values()][1:]]
    except UNLOADABLE as exc:
        raise CheckpointError(
            f"transformers cannot load the checkpoint: {type(exc).__name__}: {exc}"
        ) from exc
    check_tensors(info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    return [model, *others], feature_extractor


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
    config = AutoConfig.from_pretrained(folder / card.config, **OFFLINE)
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


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress progress bars and load reports: what is wrong is reported once, by this module."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
