"""ONNX Runtime and OpenVINO, each on its own export of the model, one unpadded clip at a time.

Both are optional: `environments` installs them. Neither pads, since padding would change the answers. ONNX Runtime
has no bf16 kernels for x86 processors, so it takes part in fp32 and int8 alone.
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

Format = Literal["onnx", "onnx-int8", "openvino", "openvino-int8", "openvino-int8-linear"]
FILES: dict[Format, str] = {
    "onnx": "model.onnx",
    "onnx-int8": "model.onnx",
    "openvino": "model.xml",
    "openvino-int8": "model.xml",
    "openvino-int8-linear": "model.xml",
}


def library(name: str) -> Any:
    """An optional library, or Unavailable."""
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise Unavailable(str(exc)) from exc


def exported(folder: Path, form: Format) -> Path:
    """The model in a peer's own format: made once for a checkpoint, in a process of its own, kept in build/."""
    file = BUILD / folder.name / form / FILES[form]
    name, reduced, _ = form.partition("-int8")
    source = exported(folder, "onnx" if name == "onnx" else "openvino") if reduced else folder
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.parent / ".lock"):  # several workers may want it at once
        if not file.is_file():
            from measure.bench.export import export  # imports torch

            try:
                apart(export, folder, source, form, file)
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


def onnxruntime(folder: Path, threads: int, form: Format = "onnx") -> Loaded:
    ort, _ = library("onnxruntime"), library("onnxscript")  # which exports
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors alone
    session = ort.InferenceSession(exported(folder, form), options, providers=["CPUExecutionProvider"])
    normalise = extractor(folder)

    def encode(waveforms: Sequence[Waveform]) -> Logits:
        return np.concatenate([session.run(None, {"samples": normalise(it)})[0] for it in waveforms])

    return Loaded(encode, f"onnxruntime {ort.__version__}")


def openvino(folder: Path, threads: int, precision: Precision | None, form: Format = "openvino") -> Loaded:
    """In a precision; None leaves the choice to OpenVINO, which takes bf16 where the processor has it.

    So does its user with a model in int8, for what is not in int8.
    """
    ov = library("openvino")
    core = ov.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unavailable("OpenVINO finds no bf16 arithmetic in this processor")
    options: dict[str, object] = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    if precision:
        options["INFERENCE_PRECISION_HINT"] = {"fp32": "f32"}.get(precision, precision)
    compiled = core.compile_model(exported(folder, form), "CPU", options)
    request = compiled.create_infer_request()
    normalise = extractor(folder)

    def encode(waveforms: Sequence[Waveform]) -> Logits:
        return np.concatenate([request.infer([normalise(it)])[0].copy() for it in waveforms])

    return Loaded(encode, f"openvino {ov.__version__.split('-')[0]}")
