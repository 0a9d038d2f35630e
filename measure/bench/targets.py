"""What this bundle set out to reach on two cores with bf16 arithmetic, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from measure.results import GrowthRow, Row, ratio


@dataclass(frozen=True)
class Verdict:
    """One target: `measured` must be at least (or at most) `wanted`, both ratios."""

    what: str
    wanted: float
    measured: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


SPEED = {  # ours by precision: to hf-one in the same layout, to hf-one at its best
    "fp32": (1.5, 1.35),
    "bf16": (3.0, 2.3),
}
PEERS = (("fp32", "hf-padded8-random", 2.5), ("bf16", "openvino-bf16", 1.1))
GROWTH = 1.6  # cost of a second of audio in a clip of 60 s, by that in one of 5 s


def verdicts(rows: Sequence[Row], growth: Sequence[GrowthRow]) -> list[Verdict]:
    """Every target that these rows can judge."""
    found: list[Verdict] = []

    def best(engine: str) -> Row | None:
        return max(
            (row for row in rows if row.engine == engine), key=lambda row: row.throughput, default=None
        )

    def judge(what: str, wanted: float, one: Row | None, other: Row | None, cost: Cost | None = None) -> None:
        if one is None or other is None:
            return
        if cost:
            found.append(Verdict(what, wanted, cost(one) / cost(other), at_least=False))
        else:
            found.append(Verdict(what, wanted, ratio(one.rounds, other.rounds)))

    by_name = {row.name: row for row in rows}
    for precision, (same, at_best) in SPEED.items():
        ours = f"packed-{precision}"
        for layout in ("1×2", "2×1"):
            mine, theirs = by_name.get(f"{ours} {layout} glibc"), by_name.get(f"hf-one {layout} glibc")
            judge(f"{ours} against hf-one, both {layout}", same, mine, theirs)
            judge(f"memory of {ours} against hf-one, both {layout}", 1.0, mine, theirs, memory)
            alone = by_name.get(f"{ours}-alone {layout} glibc")
            judge(f"{ours} in batches against the same clips one by one, both {layout}", 1.0, mine, alone)
        judge(f"{ours} against hf-one, each at its best", at_best, best(ours), best("hf-one"))
    for precision, peer, wanted in PEERS:
        judge(f"packed-{precision} against {peer}", wanted, best(f"packed-{precision}"), best(peer))
    costs = {(row.name, row.clip_seconds): row.ms_per_audio_second for row in growth}
    for name in dict.fromkeys(row.name for row in growth):
        if (name, 60.0) in costs and (name, 5.0) in costs:
            what = f"{name}: a second of audio in a clip of 60 s against one of 5 s"
            found.append(Verdict(what, GROWTH, costs[name, 60.0] / costs[name, 5.0], at_least=False))
    return found


Cost = Callable[[Row], float]


def memory(row: Row) -> float:
    return row.peak_mb
