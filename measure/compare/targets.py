"""What this bundle set out to reach against the peers, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from measure.compare.contenders import OURS_BF16, OURS_FP32, USUAL
from measure.compare.results import Row, by_name
from measure.results import ratio

AGAINST_BEST = {
    OURS_FP32.name: 2.0,
    OURS_BF16.name: 3.5,
}  # the fastest peer that answers as the clip alone does
AGAINST_USUAL = {OURS_FP32.name: 3.2, OURS_BF16.name: 5.5}  # the usual TorchServe handler


@dataclass(frozen=True)
class Verdict:
    """One target. `measured` is None where a contender held the bound at no rate tried, which no ratio can say."""

    what: str
    by: str
    wanted: float
    measured: float | None
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Every target that these rows can judge: at the same bound, which is what counts, and at saturation."""
    found: list[Verdict] = []
    present = by_name([row for row in rows if row.throughput is not None])
    usual = present.get(USUAL.name)
    for targets, other in ((AGAINST_BEST, best(rows, "capacity")), (AGAINST_USUAL, usual)):
        for name, wanted in targets.items():
            if name in present and other is not None:
                found.append(
                    Verdict(
                        f"{name} against {other.name}", "capacity", wanted, capacities(present[name], other)
                    )
                )
    for targets, other in ((AGAINST_BEST, best(rows, "throughput")), (AGAINST_USUAL, usual)):
        for name, wanted in targets.items():
            if name in present and other is not None:
                measured = ratio(present[name].rounds, other.rounds)
                found.append(Verdict(f"{name} against {other.name}", "saturation", wanted, measured))
    for name in AGAINST_BEST:
        if name in present:
            row = present[name]
            what = f"answers of {name} that are not the clip's own, of {row.answers}"
            found.append(Verdict(what, "count", 0, float(row.changed), at_least=False))
    return found


def best(rows: Sequence[Row], by: str) -> Row | None:
    """The peer that answers right and does most; None if none did anything."""
    peers = [
        row for row in rows if row.right and not row.name.startswith("ours") and getattr(row, by) is not None
    ]
    return max(peers, key=lambda row: getattr(row, by), default=None)


def capacities(one: Row, other: Row) -> float | None:
    return one.capacity / other.capacity if one.capacity and other.capacity else None
