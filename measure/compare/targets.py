"""What this repository set out to reach against the peers, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Sequence

from measure.compare.contenders import OURS_BF16, OURS_FP32, USUAL
from measure.compare.results import ContenderRow
from measure.results import ratio
from measure.verdict import Verdict

# the fastest peer that answers as the clip alone does, and the usual TorchServe handler
AGAINST_BEST = {OURS_FP32.name: 2.0, OURS_BF16.name: 3.5}
AGAINST_USUAL = {OURS_FP32.name: 3.2, OURS_BF16.name: 5.5}


def verdicts(rows: Sequence[ContenderRow]) -> list[Verdict]:
    """Every target that these rows can judge: at the same bound, which is what counts, and at saturation."""
    found: list[Verdict] = []
    present = {row.name: row for row in rows if row.throughput is not None}
    usual = present.get(USUAL.name)
    for at, by, compare in (("capacity", "capacity", capacities), ("saturation", "throughput", throughputs)):
        for targets, other in ((AGAINST_BEST, best(rows, by)), (AGAINST_USUAL, usual)):
            for name, wanted in targets.items():
                if other and name in present:
                    measured = compare(present[name], other)
                    found.append(Verdict(f"{name} against {other.name}", wanted, measured, at=at))
    return found + counts(rows)


def counts(rows: Sequence[ContenderRow]) -> list[Verdict]:
    """Whether every answer of ours is the one of the clip alone."""
    return [
        Verdict(
            f"answers of {row.name} that are not the clip's own, of {row.answers}",
            0,
            row.changed,
            at_least=False,
            at="count",
            unit="",
        )
        for row in rows
        if row.name.startswith("ours") and row.throughput is not None
    ]


def best(rows: Sequence[ContenderRow], by: str) -> ContenderRow | None:
    """The peer that answers right and does most; None if none did anything."""
    peers = [row for row in rows if row.right and not row.name.startswith("ours")]
    return max((it for it in peers if getattr(it, by)), key=lambda it: float(getattr(it, by)), default=None)


def throughputs(one: ContenderRow, other: ContenderRow) -> float | None:
    return ratio(one.rounds, other.rounds)


def capacities(one: ContenderRow, other: ContenderRow) -> float | None:
    """None where one held the bound at no rate tried."""
    return one.capacity / other.capacity if one.capacity and other.capacity else None
