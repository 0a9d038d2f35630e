"""Where a batch's time on a GPU goes, by kind of kernel; and which GPU it is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from speaker_id.clip import Waveform
from torch.profiler import ProfilerActivity, profile

from measure.bench.flops import flops

# by what a kernel's name has in it, the first that fits
KINDS = {
    "attention": ("flash", "fmha"),
    "linear maps": ("nvjet", "gemm", "cutlass", "cublas"),
    "convolutions": ("windows_kernel",),
    "the first layer": ("first_layer_kernel",),
    "GELU": ("Gelu",),
    "norms, with their residuals": ("norm_kernel", "layer_norm"),
    "means of clips": ("means_kernel", "segment_reduce"),
    "copies to and from the GPU": ("Memcpy HtoD", "Memcpy DtoH"),
}
SIDE = 8192  # of the square product that shows what the GPU can do


def describe() -> dict[str, str]:
    """The GPU, its driver, and what torch and Triton compute with."""
    if not torch.cuda.is_available():
        return {"name": "no GPU"}
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(query, capture_output=True, text=True).stdout.split("\n")[0]
    try:
        triton = version("triton")
    except PackageNotFoundError:
        triton = "none"
    return {
        "name": torch.cuda.get_device_name(),
        "driver": driver,
        "cuda": str(torch.version.cuda),
        "triton": triton,
    }


def of(
    encode: Callable[[Sequence[Waveform]], Any], clips: Sequence[Waveform], rate: int, folder: Path
) -> dict[str, Any]:
    """Milliseconds of one batch by kind of kernel, the model's work in it, and the rate of one large product."""
    encode(clips)
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as taken:
        encode(clips)
    spent: dict[str, float] = dict.fromkeys([*KINDS, "everything else"], 0.0)
    for event in taken.key_averages():
        if event.device_type.name == "CUDA":
            fits = (kind for kind, parts in KINDS.items() if any(part in event.key for part in parts))
            spent[next(fits, "everything else")] += event.self_device_time_total / 1e3
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return {
        "audio_seconds": sum(map(len, clips)) / rate,
        "ms": spent,
        "tflop": sum(flops(config, len(clip)) for clip in clips) / 1e12,
        "product_tflops": product(),
    }


def product() -> float:
    """TFLOP/s of one large bf16 product, the median of ten."""
    left, right = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(13):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        left @ right
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return float(2 * SIDE**3 / sorted(times[3:])[5] / 1e9)
