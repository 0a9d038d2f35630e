"""How many operations a second the machine reaches on one large matrix product: the ceiling of every engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from measure.bench.engines import Arithmetic, Precision
from measure.bench.team import environment
from measure.command import apart

SIZE = 2048  # rows and columns
REPEATS = 6


def product_peaks(threads: int, precisions: Sequence[Precision]) -> dict[Arithmetic, float]:
    """GFLOP/s by precision, the best of torch's product, oneDNN's and MKL's prepacked ones and NumPy's.

    NumPy's has as many threads as the environment says, see `measure`. int8 is there too where torch has oneDNN's.
    """
    import torch
    from speaker_id.encoder.packed.probe import DTYPES

    torch.set_num_threads(threads)
    mkldnn: Any = torch.ops.mkldnn
    mkl: Any = torch.ops.mkl
    found: dict[Arithmetic, float] = {}
    with torch.inference_mode():
        for name in precisions:
            dtype = DTYPES[name]
            left, right = torch.randn(SIZE, SIZE).to(dtype), torch.randn(SIZE, SIZE).to(dtype)
            products = [partial(torch.mm, left, right)]
            with suppress(AttributeError, RuntimeError):  # torch without MKL, which has fp32 only
                weight = right.t().contiguous()
                prepacked = mkl._mkl_reorder_linear_weight(weight, SIZE)
                products.append(partial(mkl._mkl_linear, left, prepacked, weight, None, SIZE))
            # torch without these operators, or a processor without this type
            with suppress(AttributeError, RuntimeError):
                packed = mkldnn._reorder_linear_weight(right, SIZE)
                products.append(partial(mkldnn._linear_pointwise, left, packed, None, "none", [], ""))
            if (
                dtype == torch.float32
            ):  # NumPy's wheels contain OpenBLAS, the fastest on some processors with AVX2
                products.append(partial(np.matmul, left.numpy(), right.numpy()))
            found[name] = speed(products)
        with suppress(AttributeError, RuntimeError):
            found["int8"] = speed([int8_product()])
    return found


def int8_product() -> Callable[[], object]:
    import torch

    onednn: Any = torch.ops.onednn
    left = torch.randint(0, 255, (SIZE, SIZE), dtype=torch.uint8)
    weight = onednn.qlinear_prepack(torch.randint(-127, 127, (SIZE, SIZE), dtype=torch.int8), None)
    scales, zeros = torch.ones(SIZE), torch.zeros(SIZE, dtype=torch.int32)
    given = (left, 1.0, 128, weight, scales, zeros, None)
    return partial(onednn.qlinear_pointwise, *given, 1.0, 0, torch.float32, "none", [], "")


def speed(products: Sequence[Callable[[], object]]) -> float:
    """GFLOP/s of the fastest run of any."""
    seconds = []
    for product in products:
        product()
        for _ in range(REPEATS):
            started = time.perf_counter()
            product()
            seconds.append(time.perf_counter() - started)
    return 2 * SIZE**3 / min(seconds) / 1e9


def measure(threads: int) -> dict[Arithmetic, float]:
    """The same in a process of its own, in every precision that the processor has.

    Emulated bf16 takes minutes, and is no engine's ceiling.
    """
    import torch
    from speaker_id.encoder.packed.probe import precisions

    with environment({"OMP_NUM_THREADS": str(threads)}):
        return apart(product_peaks, threads, precisions(torch.device("cpu")))
