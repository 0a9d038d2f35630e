"""What this repository set out to reach on two cores, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Sequence

from measure.bench.engines import PEERS, PINNED
from measure.bench.results import BenchmarkRow, GrowthRow
from measure.results import ratio
from measure.verdict import Verdict

SPEED = {  # ours by precision: to hf-one in the same layout, to hf-one at its best
    "fp32": (1.5, 1.35),
    "bf16": (3.0, 2.3),
}
AVX2_AT_BEST = 1.4  # fp32, on processors without AVX-512
AGAINST = (("fp32", "hf-padded8-random", 2.5), ("fp32", "openvino-fp32", 1.2), ("bf16", "openvino-bf16", 1.1))
KEPT = 0.995  # share of the answers that an engine must keep to be compared with
INT8 = {"bf16": 1.25, "fp32": 1.5}  # what int8 must reach to be served, by what is served without it
OF_PEAK = {"fp32": 0.9, "bf16": 0.85}  # of one large product's speed
OF_PINNED = 0.98  # by our own candidates, which two timings of the same kernels may differ by
GROWTH = 1.25  # cost of a second of audio in a clip of 60 s, by that in one of 5 s


def verdicts(rows: Sequence[BenchmarkRow], growth: Sequence[GrowthRow]) -> list[Verdict]:
    """Every target that these rows can judge."""
    found: list[Verdict] = []

    def best(engine: str) -> BenchmarkRow | None:
        mine = (row for row in rows if row.engine == engine)
        return max(mine, key=lambda row: row.throughput, default=None)

    def judge(what: str, wanted: float, one: BenchmarkRow | None, other: BenchmarkRow | None) -> None:
        if one and other:
            found.append(Verdict(what, wanted, ratio(one.rounds, other.rounds)))

    by_name = {row.name: row for row in rows}
    avx512 = any("avx512f" in row.cpu_flags for row in rows)
    for precision, (same, at_best) in SPEED.items():
        ours = f"packed-{precision}"
        for layout in ("1×2", "2×1"):
            mine, theirs = by_name.get(f"{ours} {layout} glibc"), by_name.get(f"hf-one {layout} glibc")
            judge(f"{ours} against hf-one, both {layout}", same, mine, theirs)
            if mine and theirs:
                what = f"memory of {ours} against hf-one, both {layout}"
                found.append(Verdict(what, 1.0, mine.peak_mb / theirs.peak_mb, at_least=False))
            alone = by_name.get(f"{ours}-alone {layout} glibc")
            judge(f"{ours} in batches against the same clips one by one, both {layout}", 1.0, mine, alone)
        wanted = at_best if avx512 or precision != "fp32" else AVX2_AT_BEST
        judge(f"{ours} against hf-one, each at its best", wanted, best(ours), best("hf-one"))
        if mine := best(ours):
            what = f"{ours} against one large product"
            found.append(Verdict(what, OF_PEAK[precision], mine.peak_fraction))
    measured = by_name.get("packed-fp32 1×2 glibc")
    for pinned in PINNED:
        theirs = by_name.get(f"{pinned.name} 1×2 glibc")
        judge(f"packed-fp32 against {pinned.name}, both 1×2", OF_PINNED, measured, theirs)
    for precision, other, wanted in AGAINST:
        judge(f"packed-{precision} against {other}", wanted, best(f"packed-{precision}"), best(other))
    served = [row for row in map(best, (f"packed-{it}" for it in SPEED)) if row]
    if served and (rival := best_peer(rows)):
        fastest = max(served, key=lambda row: row.throughput)
        what = f"{fastest.engine} against the fastest peer that keeps the answers, {rival.engine}"
        judge(what, 1.0, fastest, rival)
    reduced = by_name.get("packed-int8 1×2 glibc")
    for precision in reversed(SPEED):
        if reduced and (plain := by_name.get(f"packed-{precision} 1×2 glibc")):
            judge(f"packed-int8 against packed-{precision}, both 1×2", INT8[precision], reduced, plain)
            break
    costs = {(row.name, row.clip_seconds): row.ms_per_audio_second for row in growth}
    for name in dict.fromkeys(row.name for row in growth):
        if name.startswith("packed") and (name, 60.0) in costs and (name, 5.0) in costs:
            what = f"{name}: a second of audio in a clip of 60 s against one of 5 s"
            found.append(Verdict(what, GROWTH, costs[name, 60.0] / costs[name, 5.0], at_least=False))
    return found


def best_peer(rows: Sequence[BenchmarkRow]) -> BenchmarkRow | None:
    """The fastest of other software that keeps the answers."""
    able = (row for row in rows if row.engine in PEERS and row.top1_agreement >= KEPT)
    return max(able, key=lambda row: row.throughput, default=None)
