"""The products of the linear layers, in int8 and as they are served, in one thread; and what they allow at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from measure.bench.int8.encoders import served

ROWS = 256  # of a timed product, as the encoder computes them
REPEATS = 15
SECONDS = 8.0  # of the clip whose cost is divided, VoxCeleb1's mean


def products(folder: Path, threads: int) -> dict[str, Any]:
    """One thread's milliseconds for each linear layer's product, and for a whole clip; bounds what int8 can bring."""
    import torch
    from speaker_id.encoder.packed.operators import Linear
    from speaker_id.encoder.packed.probe import DTYPES
    from speaker_id.encoder.packed.tuning import noise, noisy
    from torch import Tensor

    from measure.bench.int8.quantised import Int8Linear
    from measure.bench.loaders import checkpoint

    loaded = checkpoint(folder, threads)
    precision, _, encoder = served(loaded)
    dtype = DTYPES[precision]
    hidden, inner = loaded.model.config.hidden_size, loaded.model.config.intermediate_size
    shapes = {
        "query, key, value": (3 * hidden, hidden, "rows"),
        "attention's output": (hidden, hidden, "add"),
        "feed-forward, first": (inner, hidden, "gelu"),
        "feed-forward, second": (hidden, inner, "add"),
    }

    def run(linear: Linear, use: str, rows: Tensor, residual: Tensor) -> Tensor:
        if use == "add":
            return linear.add(rows, residual)
        return linear.gelu(rows) if use == "gelu" else linear(rows)

    found: dict[str, dict[str, float]] = {}
    with torch.inference_mode():
        for name, (outputs, inputs, use) in shapes.items():
            affine = noisy(outputs, inputs)
            rows, residual = noise(ROWS, inputs).to(dtype), noise(ROWS, outputs).to(dtype)
            plain, reduced = encoder.operators.linear(affine), Int8Linear(affine, -1.0, 1.0, dtype)
            whole = reduced.quantise(rows)
            candidates: dict[str, Callable[[], object]] = {
                precision: partial(run, plain, use, rows, residual),
                "int8": partial(run, reduced, use, whole, residual),
                "quantising": partial(reduced.quantise, rows),
            }
            found[name] = fastest(candidates)
        clip = noise(round(SECONDS * loaded.sampling_rate)).numpy()
        whole_ms = fastest({"clip": partial(encoder, [clip])}, repeats=5)["clip"]
    times: float = loaded.model.config.num_hidden_layers * frames_of(loaded.model, len(clip)) / ROWS

    def total(each: str) -> float:
        return times * sum(ms[each] for ms in found.values())

    # GELU's results are quantised by the product that makes them: the second product gets them as they are
    quantising = total("quantising") - times * found["feed-forward, second"]["quantising"]
    rest = whole_ms - total(precision)
    return {
        "precision": precision,
        "products_ms": found,
        "clip_ms": whole_ms,
        "linear_share": total(precision) / whole_ms,
        "bound": whole_ms / (rest + total("int8")),
        "bound_with_quantising": whole_ms / (rest + total("int8") + quantising),
    }


def frames_of(model: Any, samples: int) -> int:
    frames: int = model._get_feat_extract_output_lengths(samples).item()
    return frames


def fastest(works: Mapping[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, float]:
    """Milliseconds of processor time of each one's fastest run: in turns, after a run that prepares.

    Of one thread: what else the machine does hardly matters.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = time.process_time()
            work()
            times[name].append(1000 * (time.process_time() - began))
    return {name: min(each) for name, each in times.items()}
