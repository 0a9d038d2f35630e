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

Precision = Literal["fp32", "bf16"]  # that ours serves in
Arithmetic = Literal["fp32", "bf16", "int8"]
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
        precision: of everything but the head; int8 is that of the linear layers at least.
        batch: clips that it is handed at once.
        by_length: whether it is handed clips of like length together.
        peer: whether it is other software, which may be missing here, and cannot be held to some instructions.
        packages: its environment's name, see `environments`; empty for this repository's own packages.
    """

    name: str
    loader: str
    precision: Arithmetic
    batch: int
    by_length: bool = False
    peer: bool = False
    packages: str = ""


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
        once: timed in the first round only, and in memory for its turn alone: it is slow, or one of many that would not
            fit into memory together. What is not fp32 answers the other rounds' clips too, untimed.
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
PACKED_FP32 = Engine("packed-fp32", "packed-fp32", "fp32", BATCH)
PACKED_BF16 = Engine("packed-bf16", "packed-bf16", "bf16", BATCH)
PACKED_FP32_ALONE = Engine("packed-fp32-alone", "packed-fp32", "fp32", batch=1)
PACKED_BF16_ALONE = Engine("packed-bf16-alone", "packed-bf16", "bf16", batch=1)
# ours with kernels that are not measured but pinned, of one kind for every product
PINNED = tuple(Engine(f"packed-fp32-{kind}", f"packed-fp32-{kind}", "fp32", BATCH) for kind in KINDS)
# ours with its linear layers in int8, which is not served: see `int8`
PACKED_INT8 = Engine("packed-int8", "packed-int8", "int8", BATCH)


def peer(name: str, precision: Arithmetic, packages: str = "") -> Engine:
    """Other software: a clip at a time, since padding changes the answers."""
    return Engine(name, name, precision, batch=1, peer=True, packages=packages)


ONNXRUNTIME = peer("onnxruntime-fp32", "fp32", "onnxruntime")
ONNXRUNTIME_INT8 = peer("onnxruntime-int8", "int8", "onnxruntime")
OPENVINO_FP32 = peer("openvino-fp32", "fp32", "openvino")
OPENVINO_BF16 = peer("openvino-bf16", "bf16", "openvino")
OPENVINO_INT8 = peer("openvino-int8", "int8", "openvino")
OPENVINO_INT8_LINEAR = peer("openvino-int8-linear", "int8", "openvino")
INDUCTOR_FP32 = peer("inductor-fp32", "fp32")
INDUCTOR_BF16 = peer("inductor-bf16", "bf16")
TORCHAO_INT8 = peer("torchao-int8", "int8", "torchao")
ZENTORCH_FP32 = peer("zentorch-fp32", "fp32", "zentorch")
ZENTORCH_BF16 = peer("zentorch-bf16", "bf16", "zentorch")

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
    Contestant(INDUCTOR_FP32, ONE_BY_TWO, "glibc", lone=False, once=True),
    Contestant(ZENTORCH_FP32, ONE_BY_TWO, "glibc", lone=False, once=True),
    *(
        Contestant(each, ONE_BY_TWO, "glibc", lone=False, once=True)
        for each in (
            *(INDUCTOR_BF16, ZENTORCH_BF16, PACKED_INT8, OPENVINO_INT8, OPENVINO_INT8_LINEAR),
            *(ONNXRUNTIME_INT8, TORCHAO_INT8),
        )
    ),
)
QUICK: tuple[Contestant, ...] = (BASE, Contestant(PACKED_FP32, TWO_BY_ONE, "glibc"))
NAMES = tuple(dict.fromkeys(contestant.engine.name for contestant in CONTESTANTS))
PEERS = frozenset(contestant.engine.name for contestant in CONTESTANTS if contestant.engine.peer)


def able(contestants: Iterable[Contestant], precisions: Collection[str], held: bool) -> list[Contestant]:
    """Those that this processor allows: in precisions that it has, and of what can be held to its instructions.

    Args:
        held: whether it may use some of its own instructions only, which other software does not know of.
    """
    return [it for it in contestants if it.engine.precision in precisions and not (held and it.engine.peer)]


def choose(contestants: Iterable[Contestant], only: Collection[str]) -> list[Contestant]:
    """Those whose engine is named, and always the base, which gives the reference answers."""
    return [it for it in contestants if it == BASE or it.engine.name in only]
