"""What compiles torch's model: torch's own compiler, AMD's plugin, and torchao's int8 in front of the former.

Each compiles Hugging Face's model once for clips of any length and computes one unpadded clip at a time. "Freezing"
makes constants of the weights, so that they are prepared once, as each one's guide has it for processors.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from speaker_id.clip import Waveform

from measure import Unavailable
from measure.bench.engines import Loaded, Logits, Precision
from measure.bench.peers import extractor, library


def compiled(
    folder: Path,
    threads: int,
    precision: Precision,
    backend: str,
    change: Callable[[Any], object] = lambda _: None,
) -> Callable[[Sequence[Waveform]], Logits]:
    """The model compiled by a back end; bf16 is torch's autocast.

    Args:
        change: what is done to the model before.

    Raises:
        Unavailable: there is no C++ compiler, which torch's compiler needs.
    """
    if not any(map(shutil.which, ("g++", "clang++", os.environ.get("CXX", "g++")))):
        raise Unavailable("torch.compile needs a C++ compiler: apt install g++")
    import torch
    from speaker_id.checkpoint import load
    from torch._inductor import config

    from measure.bench.export import LogitsOf

    torch.set_num_threads(threads)
    config.freezing = True
    model = LogitsOf(load(folder).model).eval()
    change(model)
    run: Any = torch.compile(model, backend=backend, dynamic=True)
    normalise = extractor(folder)

    def encode(waveforms: Sequence[Waveform]) -> Logits:
        with torch.no_grad(), torch.autocast("cpu") if precision == "bf16" else nullcontext():
            rows = [run(torch.from_numpy(normalise(it))).float().numpy() for it in waveforms]
        return np.concatenate(rows)

    return encode


def inductor(folder: Path, threads: int, precision: Precision) -> Loaded:
    return Loaded(compiled(folder, threads, precision, "inductor"), "torch.compile, inductor, freezing")


def zentorch(folder: Path, threads: int, precision: Precision) -> Loaded:
    """AMD's plugin for its processors, which registers a back end of torch.compile."""
    library("zentorch")
    encode = compiled(folder, threads, precision, "zentorch")
    return Loaded(encode, f"zentorch {importlib.metadata.version('zentorch')}, freezing")


def torchao(folder: Path, threads: int) -> Loaded:
    """Linear layers with int8 weights, whose activations are quantised row by row while it computes."""
    quantization = library("torchao.quantization")

    def quantise(model: Any) -> None:
        quantization.quantize_(model, quantization.Int8DynamicActivationInt8WeightConfig())

    encode = compiled(folder, threads, "fp32", "inductor", quantise)
    return Loaded(encode, f"torchao {importlib.metadata.version('torchao')}, inductor, freezing")
