"""Who takes part. An engine is a way to compute; a contestant is an engine in one layout with one allocator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from speaker_id.clip import Waveform
from speaker_id.plan import KINDS

from serving.host.allocator import Allocator

Precision = Literal["fp32", "bf16"]
Logits = npt.NDArray[np.float32]  # (clips, labels)
Encode = Callable[[Sequence[Waveform]], Logits]

BATCH = 8  # clips: TorchServe's batchSize in this repository
LATENCIES = (3.0, 8.0, 20.0)  # s, lengths of a lone clip


@dataclass(frozen=True)
class Loaded:
    """An engine ready to run; `backend` names what computes, with its version."""

    encode: Encode
    backend: str


@dataclass(frozen=True)
class Engine:
    """A way to compute.

    Attributes:
        name: in tables and for --only.
        loader: key of `measure.bench.loaders.LOADERS`; engines of one loader share their processes.
        precision: of everything but the head.
        batch: clips that it is handed at once.
        by_length: whether it is handed clips of like length together.
    """

    name: str
    loader: str
    precision: Precision
    batch: int
    by_length: bool = False


@dataclass(frozen=True)
class Layout:
    """Processes and the threads of each: two threads in all, so every contestant gets the same two cores."""

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers}×{self.threads}"


@dataclass(frozen=True)
class Contestant:
    """An engine in its set-up.

    Attributes:
        lone: whether the latency of a lone clip is measured; for a batching engine it is its twin's, which takes one.
        once: in the first round only: far slower than the others, and a run should take a quarter of an hour.
    """

    engine: Engine
    layout: Layout
    allocator: Allocator
    lone: bool = field(default=True, compare=False)
    once: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.engine.name} {self.layout} {self.allocator}"


ONE_BY_TWO, TWO_BY_ONE = Layout(1, 2), Layout(2, 1)

HF_ONE = Engine("hf-one", "hf", "fp32", batch=1)
HF_PADDED_RANDOM = Engine("hf-padded8-random", "hf-padded", "fp32", BATCH)
HF_PADDED_SORTED = Engine("hf-padded8-sorted", "hf-padded", "fp32", BATCH, by_length=True)
PIPELINE = Engine("pipeline-8", "pipeline", "fp32", BATCH)
ONNXRUNTIME = Engine("onnxruntime-fp32", "onnxruntime-fp32", "fp32", batch=1)
OPENVINO_FP32 = Engine("openvino-fp32", "openvino-fp32", "fp32", batch=1)
OPENVINO_BF16 = Engine("openvino-bf16", "openvino-bf16", "bf16", batch=1)
PACKED_FP32 = Engine("packed-fp32", "packed-fp32", "fp32", BATCH)
PACKED_BF16 = Engine("packed-bf16", "packed-bf16", "bf16", BATCH)
PACKED_FP32_ALONE = Engine("packed-fp32-alone", "packed-fp32", "fp32", batch=1)
PACKED_BF16_ALONE = Engine("packed-bf16-alone", "packed-bf16", "bf16", batch=1)
# ours with kernels that are not measured but pinned, of one kind for every product
PINNED = tuple(Engine(f"packed-fp32-{kind}", f"packed-fp32-{kind}", "fp32", BATCH) for kind in KINDS)

UNHELD = ("onnxruntime", "openvino")  # loaders

BASE = Contestant(HF_ONE, ONE_BY_TWO, "glibc")  # the reference of every ratio and answer

CONTESTANTS: tuple[Contestant, ...] = (
    BASE,
    Contestant(HF_ONE, TWO_BY_ONE, "glibc"),
    Contestant(HF_ONE, ONE_BY_TWO, "jemalloc"),
    Contestant(HF_ONE, TWO_BY_ONE, "jemalloc", lone=False),
    Contestant(PACKED_FP32, ONE_BY_TWO, "glibc"),
    Contestant(PACKED_FP32, TWO_BY_ONE, "glibc"),
    Contestant(PACKED_FP32, TWO_BY_ONE, "jemalloc", lone=False),
    Contestant(PACKED_FP32_ALONE, ONE_BY_TWO, "glibc", lone=False),
    Contestant(PACKED_FP32_ALONE, TWO_BY_ONE, "glibc", lone=False),
    *(Contestant(each, ONE_BY_TWO, "glibc", lone=False) for each in PINNED),
    Contestant(PACKED_BF16, ONE_BY_TWO, "glibc"),
    Contestant(PACKED_BF16, TWO_BY_ONE, "glibc"),
    Contestant(PACKED_BF16, TWO_BY_ONE, "jemalloc", lone=False),
    Contestant(PACKED_BF16_ALONE, ONE_BY_TWO, "glibc", lone=False),
    Contestant(PACKED_BF16_ALONE, TWO_BY_ONE, "glibc", lone=False),
    Contestant(HF_PADDED_RANDOM, ONE_BY_TWO, "glibc", lone=False),
    Contestant(HF_PADDED_RANDOM, TWO_BY_ONE, "jemalloc", lone=False, once=True),
    Contestant(HF_PADDED_SORTED, ONE_BY_TWO, "glibc", lone=False, once=True),
    Contestant(PIPELINE, ONE_BY_TWO, "glibc", lone=False, once=True),
    Contestant(ONNXRUNTIME, ONE_BY_TWO, "glibc", once=True),
    Contestant(OPENVINO_FP32, ONE_BY_TWO, "glibc", once=True),
    Contestant(OPENVINO_BF16, ONE_BY_TWO, "glibc"),
    Contestant(OPENVINO_BF16, TWO_BY_ONE, "glibc", lone=False),
)
QUICK: tuple[Contestant, ...] = (BASE, Contestant(PACKED_FP32, TWO_BY_ONE, "glibc"))
NAMES = tuple(dict.fromkeys(contestant.engine.name for contestant in CONTESTANTS))


def able(contestants: Iterable[Contestant], precisions: Collection[str], held: bool) -> list[Contestant]:
    """Those that this processor allows: in precisions that it has, and of what can be held to its instructions.

    Args:
        held: whether it may use some of its own instructions only, which ONNX Runtime and OpenVINO do not know of.
    """
    return [
        it
        for it in contestants
        if it.engine.precision in precisions and not (held and it.engine.loader.startswith(UNHELD))
    ]


def choose(contestants: Iterable[Contestant], only: Collection[str]) -> list[Contestant]:
    """Those whose engine is named, and always the base, which gives the reference answers."""
    return [it for it in contestants if it == BASE or it.engine.name in only]
