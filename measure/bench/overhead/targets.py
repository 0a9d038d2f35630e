"""What serving was to cost at most beside the encoder, and whether what is recorded reached it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from measure.bench.overhead.checkout import OTHER, THIS
from measure.verdict import Verdict

BUSY = 16  # connections: enough that batches are formed, and no request waits for long
IN_ALL, WORKER = "CPU ms", "worker"
REQUESTS = (("wav", IN_ALL, 3.0), ("wav", WORKER, 1.0), ("mp3", IN_ALL, 8.0))  # at most, in CPU ms
HALF, LESS_MEMORY = 0.5, 0.6  # of the other checkout's
FULL_SIZE_MB = 1200.0  # resident, of a worker
CAPACITY = 1.5  # at least, of the other checkout's


def verdicts(everything: Mapping[str, Any]) -> Iterator[Verdict]:
    """Every target that the recorded parts can judge.

    Args:
        everything: what was recorded, by part.
    """
    costs = {(row["request"], row["connections"]): row for row in rows(everything, "cost")}
    for request, what, most in REQUESTS:
        if row := costs.get((request, BUSY)):
            found = row[IN_ALL] if what == IN_ALL else row["by process"][what]
            of = "all processes" if what == IN_ALL else f"the {what}"
            yield Verdict(
                f"{request} of 4 s, {of}, {BUSY} connections", most, found, at_least=False, unit=" ms"
            )
    mine, its = pair(everything, "start")
    if mine and its:
        for what, name in (("from `make serve` to ready", "start"), ("a worker's restart", "restart")):
            took = mine[name]["in all"] / its[name]["in all"]
            yield Verdict(f"{what}, by the other checkout's", HALF, took, at_least=False)
        resident = mine["memory"]["resident"] / its["memory"]["resident"]
        yield Verdict(
            "a worker's resident set, by the other checkout's", LESS_MEMORY, resident, at_least=False
        )
    if full := pair(everything, "start, full size")[0]:
        resident = full["memory"]["resident"]
        yield Verdict(
            "a worker's resident set at full size", FULL_SIZE_MB, resident, at_least=False, unit=" MB"
        )
    if by_other := everything.get("capacity", {}).get("by other"):
        yield Verdict("requests a second at p99 = 2 s, by the other checkout's", CAPACITY, by_other)


def rows(everything: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = everything.get(part, {}).get("rows", [])
    return found


def pair(everything: Mapping[str, Any], part: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """This checkout's row and the other's."""
    found = {row["server"]: row for row in rows(everything, part)}
    return found.get(THIS), found.get(OTHER)
