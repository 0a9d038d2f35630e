"""Who takes part: ours as it ships, and every peer at its best, with two threads in all for each.

A peer takes part twice. `padded` is batching as its documentation recommends: up to eight clips, padded to the longest,
on two threads. `alone` is what answers right: nothing is batched, and two workers of one thread take a clip each at a
time, which is the fastest way to run Hugging Face's model on two cores (docs/results/benchmark.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from measure.bench.engines import ONE_BY_TWO, TWO_BY_ONE, Layout, Precision
from measure.compare.usual import BATCH
from serving import model_servers

TRITON = "triton"  # the model server, and the peer that a model of another's is in it


@dataclass(frozen=True)
class Contender:
    """A server in its set-up.

    Attributes:
        name: in tables and for --only.
        peer: folder under measure/compare/peers; None for ours.
        server: the model server of ours.
        batch: most clips that run at once; of a peer, padded to the longest.
        layout: workers and the threads of each.
    """

    name: str
    peer: str | None
    batch: int
    layout: Layout
    precision: Precision = "fp32"
    server: str = model_servers.DEFAULT.name

    @property
    def ours(self) -> bool:
        return self.peer is None


OURS_FP32 = Contender("ours-fp32", None, BATCH, ONE_BY_TWO)
OURS_BF16 = Contender("ours-bf16", None, BATCH, ONE_BY_TWO, "bf16")
TRITON_FP32 = Contender("ours-triton-fp32", None, BATCH, ONE_BY_TWO, server=TRITON)
TRITON_BF16 = Contender("ours-triton-bf16", None, BATCH, ONE_BY_TWO, "bf16", TRITON)
USUAL = Contender("torchserve-padded", "torchserve", BATCH, ONE_BY_TWO)

BATCHING = (TRITON, "litserve", "ray", "bentoml", "mlserver")

CONTENDERS: tuple[Contender, ...] = (
    OURS_FP32,
    OURS_BF16,
    TRITON_FP32,
    TRITON_BF16,
    USUAL,
    Contender("fastapi-pipeline", "fastapi", 1, TWO_BY_ONE),  # forms no batches
    *(Contender(f"{peer}-alone", peer, 1, TWO_BY_ONE) for peer in ("torchserve", *BATCHING)),
    *(Contender(f"{peer}-padded", peer, BATCH, ONE_BY_TWO) for peer in BATCHING),
)
NAMES = tuple(contender.name for contender in CONTENDERS)
DECIDING = (
    OURS_FP32.name,
    OURS_BF16.name,
    USUAL.name,
)  # and a peer that answers right: the targets are about them
# the model servers beside each other, and what a user of Triton would set up: `make compare SERVER=triton`
OF_TRITON = tuple(it.name for it in CONTENDERS if it.ours or it.peer == TRITON)


def choose(only: Collection[str]) -> list[Contender]:
    """Those that are named, in the order of the table.

    Raises:
        ValueError: an unknown name, with the known ones.
    """
    if unknown := [name for name in only if name not in NAMES]:
        raise ValueError(f"--only {','.join(unknown)}: not one of {','.join(NAMES)}")
    return [contender for contender in CONTENDERS if contender.name in only]
