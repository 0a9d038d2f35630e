"""Small checkpoints with their manifest, what is wrong with them, and how to break them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from speaker_id.checkpoint import CheckpointError, load
from speaker_id.manifest import FileRecord, Manifest

LABELS = ("anna", "bernd", "chloe")


def sealed(folder: Path) -> Path:
    """Writes the manifest for whatever the folder holds."""
    (folder / "manifest.json").unlink(missing_ok=True)
    files = {path.name: FileRecord.of(path) for path in folder.iterdir()}
    Manifest(name="tiny", source="tiny", files=files).write(folder)
    return folder


def refusal(folder: Path, check: Callable[[Path], Any] = load) -> str:
    with pytest.raises(CheckpointError) as caught:
        check(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    sealed(folder)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    sealed(folder)
