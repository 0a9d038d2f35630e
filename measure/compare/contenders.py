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


@dataclass(frozen=True)
class Contender:
    """A server in its set-up.

    Attributes:
        name: in tables and for --only.
        peer: folder under measure/compare/peers; None for ours.
        batch: most clips that run at once; of a peer, padded to the longest.
        layout: workers and the threads of each.
    """

    name: str
    peer: str | None
    batch: int
    layout: Layout
    precision: Precision = "fp32"

    @property
    def ours(self) -> bool:
        return self.peer is None


OURS_FP32 = Contender("ours-fp32", None, BATCH, ONE_BY_TWO)
OURS_BF16 = Contender("ours-bf16", None, BATCH, ONE_BY_TWO, "bf16")
USUAL = Contender("torchserve-padded", "torchserve", BATCH, ONE_BY_TWO)

BATCHING = ("litserve", "ray", "bentoml", "mlserver")

CONTENDERS: tuple[Contender, ...] = (
    OURS_FP32,
    OURS_BF16,
    USUAL,
    Contender("fastapi-pipeline", "fastapi", 1, TWO_BY_ONE),  # forms no batches
    *(Contender(f"{peer}-alone", peer, 1, TWO_BY_ONE) for peer in ("torchserve", *BATCHING)),
    *(Contender(f"{peer}-padded", peer, BATCH, ONE_BY_TWO) for peer in BATCHING),
)
NAMES = tuple(contender.name for contender in CONTENDERS)


def choose(only: Collection[str]) -> list[Contender]:
    """Those that are named, in the order of the table.

    Raises:
        ValueError: an unknown name, with the known ones.
    """
    if unknown := [name for name in only if name not in NAMES]:
        raise ValueError(f"--only {','.join(unknown)}: not one of {','.join(NAMES)}")
    return [contender for contender in CONTENDERS if contender.name in only]
