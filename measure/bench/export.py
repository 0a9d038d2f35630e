"""A checkpoint → ONNX or OpenVINO's format, for clips of any length; and from there → int8, by each one's own tool."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from speaker_id.checkpoint import load
from speaker_id.clip import SAMPLING_RATE
from torch import Tensor, nn

from measure import workload
from measure.bench import peers

EXAMPLE = 32_000  # samples
CONVOLUTIONS = (".*feature_extractor.*",)  # the first layers, from samples to frames, by OpenVINO's names
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


def to_onnx_int8(source: Path, file: Path) -> None:
    """As ONNX Runtime's guide has it for transformers: weights in int8, activations quantised while it computes.

    Convolutions stay: their quantised form is for models that are quantised with calibration.
    """
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    quantization.quantize_dynamic(
        source,
        file,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
    )


def to_openvino_int8(folder: Path, source: Path, file: Path, kept: Sequence[str]) -> None:
    """As OpenVINO's guide has it for transformers: NNCF, calibrated with the demo's clips.

    Args:
        kept: patterns of the names of what stays in floating point.
    """
    ov: Any = importlib.import_module("openvino")
    nncf: Any = importlib.import_module("nncf")
    normalise = peers.extractor(folder)
    clips = [normalise(it) for each in workload.voices(SAMPLING_RATE).values() for it in each]
    quantised = nncf.quantize(
        ov.Core().read_model(source),
        nncf.Dataset(clips),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(clips),
        ignored_scope=nncf.IgnoredScope(patterns=[*kept]) if kept else None,
    )
    ov.save_model(quantised, file, compress_to_fp16=False)


def export(folder: Path, source: Path, form: str, file: Path) -> None:
    """Write the model in a form.

    Args:
        folder: the checkpoint.
        source: what is converted: the checkpoint, or what an earlier export made of it.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        made = Path(scratch) / file.name
        if form in ("onnx", "openvino"):
            model = LogitsOf(load(folder).model).eval()
            (to_onnx if form == "onnx" else to_openvino)(model, made)
        elif form == "onnx-int8":
            to_onnx_int8(source, made)
        else:
            to_openvino_int8(folder, source, made, CONVOLUTIONS if form.endswith("linear") else ())
        # the weights beside it first: once the file exists the export is complete
        for path in sorted(Path(scratch).iterdir(), key=lambda path: path.name == file.name):
            path.replace(file.parent / path.name)
