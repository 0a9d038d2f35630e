"""A checkpoint → ONNX or OpenVINO's format, for clips of any length."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import torch
from speaker_id.checkpoint import load
from speaker_id.clip import SAMPLING_RATE
from torch import Tensor, nn

EXAMPLE = 32_000  # samples
LONGEST = 160 * SAMPLING_RATE  # samples, of the exported model's dynamic axis


class LogitsOf(nn.Module):
    """(1, samples) → (1, labels): exporters want tensors, not transformers' output class."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, samples: Tensor) -> Tensor:
        logits: Tensor = self.model(samples).logits
        return logits


def to_onnx(model: nn.Module, file: Path) -> None:
    samples = torch.export.Dim("samples", min=1_000, max=LONGEST)
    torch.onnx.export(
        model,
        (torch.zeros(1, EXAMPLE),),
        file,
        input_names=["samples"],
        output_names=["logits"],
        dynamic_shapes={"samples": {1: samples}},
        dynamo=True,
        verbose=False,
    )


def to_openvino(model: nn.Module, file: Path) -> None:
    ov: Any = importlib.import_module("openvino")
    converted = ov.convert_model(
        model, example_input=torch.zeros(1, EXAMPLE), input=[("samples", ov.PartialShape([1, -1]))]
    )
    ov.save_model(converted, file, compress_to_fp16=False)


def export(folder: Path, form: str, file: Path) -> None:
    model = LogitsOf(load(folder).model).eval()
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        (to_onnx if form == "onnx" else to_openvino)(model, Path(scratch) / file.name)
        # the weights beside it first: once the file exists the export is complete
        for path in sorted(Path(scratch).iterdir(), key=lambda path: path.name == file.name):
            path.replace(file.parent / path.name)
