"""ONNX Runtime and OpenVINO, each on its own export of the model, one clip at a time: exact, like ours.

Both are optional (measure/bench/requirements.txt). Neither pads, since padding would change the answers. ONNX Runtime
has no bf16 kernels for x86 processors, so it takes part in fp32 alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from speaker_id.clip import Waveform

from measure import Unavailable
from measure.bench import BUILD
from measure.bench.engines import Loaded, Logits, Precision
from measure.command import apart

Format = Literal["onnx", "openvino"]
FILES: dict[Format, str] = {"onnx": "model.onnx", "openvino": "model.xml"}


def library(name: str) -> Any:
    """An optional library, or Unavailable."""
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise Unavailable(f"{exc}: pip install -r measure/bench/requirements.txt") from exc


def exported(folder: Path, form: Format) -> Path:
    """The model in a peer's own format: made once for a checkpoint, in a process of its own, kept in build/."""
    file = BUILD / folder.name / form / FILES[form]
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.parent / ".lock"):  # several workers may want it at once
        if not file.is_file():
            from measure.bench.export import export  # imports torch

            try:
                apart(export, folder, form, file)
            except Exception as exc:  # whatever an exporter raises
                raise Unavailable(f"the export to {form} failed: {exc}") from exc
    return file


def extractor(folder: Path) -> Callable[[Waveform], npt.NDArray[np.float32]]:
    """The checkpoint's own normalisation: (samples,) → (1, samples)."""
    from transformers import AutoFeatureExtractor

    prepare = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)

    def normalise(waveform: Waveform) -> npt.NDArray[np.float32]:
        values = prepare(waveform, sampling_rate=prepare.sampling_rate, return_tensors="np").input_values
        return np.asarray(values, np.float32)

    return normalise


def onnxruntime(folder: Path, threads: int) -> Loaded:
    ort, _ = library("onnxruntime"), library("onnxscript")  # which exports
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors alone
    session = ort.InferenceSession(exported(folder, "onnx"), options, providers=["CPUExecutionProvider"])
    normalise = extractor(folder)

    def encode(waveforms: Sequence[Waveform]) -> Logits:
        return np.concatenate([session.run(None, {"samples": normalise(it)})[0] for it in waveforms])

    return Loaded(encode, f"onnxruntime {ort.__version__}")


def openvino(folder: Path, threads: int, precision: Precision) -> Loaded:
    ov = library("openvino")
    core = ov.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unavailable("OpenVINO finds no bf16 arithmetic in this processor")
    compiled = core.compile_model(
        exported(folder, "openvino"),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision),
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        },
    )
    request = compiled.create_infer_request()
    normalise = extractor(folder)

    def encode(waveforms: Sequence[Waveform]) -> Logits:
        return np.concatenate([request.infer([normalise(it)])[0].copy() for it in waveforms])

    return Loaded(encode, f"openvino {ov.__version__.split('-')[0]}")
