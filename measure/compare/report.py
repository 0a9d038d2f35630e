"""The newest complete runs → the tables between the markers of docs/results/compare.md:

python -m measure.compare.report
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from measure import ROOT
from measure.compare import RESULTS
from measure.compare.contenders import NAMES
from measure.compare.contest import SHARES
from measure.compare.overhead import OverheadRow
from measure.compare.results import OVERHEAD_FILE, Row, StepRow, newest
from measure.compare.targets import Verdict, verdicts
from measure.document import insert
from measure.results import read

DOCUMENT = ROOT / "docs" / "results" / "compare.md"
COMMAND = "measure.compare.report"  # as the markers name it
NOTHING = "No complete run is committed: `make compare` makes one."
KEPT, ADDED = 0.95, 0.015  # of the bare encoder's throughput at saturation; s that a lone clip may take more


def report(rows: Sequence[Row], steps: Sequence[StepRow]) -> str:
    """The Markdown of one run."""
    if not rows:
        return NOTHING
    first = rows[0]
    state = f"commit {first.commit}" + (" with changes on top" if first.dirty else "")
    software = ", ".join(dict.fromkeys(row.software for row in rows if row.software))
    present = sorted((row for row in rows if not row.absent), key=lambda row: -(row.throughput or 0))
    lines = [
        f"{first.cpu}, {first.cores} cores, {first.cpu_flags}; {first.versions}; {software}; {state}; {first.run}. "
        f"Model: {first.model}. Work: {first.clips}. Open arrivals of {first.step_seconds:g} s a rate; bound: p99 "
        f"within {first.bound:g} s. Other programs and the host kept {first.foreign_cores:.2f} cores busy meanwhile.",
        "",
        "| contender | batch | layout | audio s/s at saturation | capacity, requests/s | breaks at | answers | changed "
        "| scores off by | errors | memory |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(table_row(row) for row in present),
        "",
        *(f"- `{name}` was not measured: {why}" for name, why in missing(rows).items()),
        *latencies(present, steps),
        "",
        "| target | at | wanted | measured | |",
        "|---|---|---:|---:|---|",
        *(target_row(verdict) for verdict in verdicts(rows)),
        "",
        "![Saturation, capacity and latencies of every contender](../../measure/compare/results/compare.png)",
    ]
    return "\n".join(lines)


def table_row(row: Row) -> str:
    cells = [
        f"**{row.name}**" if row.name.startswith("ours") else row.name,
        str(row.batch),
        row.layout,
        number(row.throughput, ".1f"),
        number(row.capacity, ".2f"),
        number(row.breaks_at, ".2f"),
        str(row.answers),
        str(row.changed),
        number(row.score_drift, ".4f"),
        str(row.errors),
        f"{number(row.peak_mb, '.0f')} MB",
    ]
    return "| " + " | ".join(cells) + " |"


def missing(rows: Sequence[Row]) -> dict[str, str]:
    """Why, by name, of all contenders that there are."""
    found = {row.name: row for row in rows}
    reasons = {name: found[name].absent if name in found else "it took no part in this run" for name in NAMES}
    return {name: why for name, why in reasons.items() if why}


def latencies(rows: Sequence[Row], steps: Sequence[StepRow]) -> list[str]:
    """The table of those that met open arrivals; nothing where ours held the bound at no rate."""
    if all(step.share is None for step in steps):
        return []
    return [
        "",
        "| p50 / p99, s | " + " | ".join(f"{share:.0%} of our fp32 capacity" for share in SHARES) + " |",
        "|---|" + "---:|" * len(SHARES),
        *(latency_row(row, steps) for row in rows if any(step.name == row.name for step in steps)),
    ]


def latency_row(row: Row, steps: Sequence[StepRow]) -> str:
    mine = {step.share: step for step in steps if step.name == row.name and step.share is not None}
    cells = []
    for share in SHARES:
        step = mine.get(share)
        if step is None:
            cells.append("above its saturation")
        else:
            cells.append(f"{seconds(step.p50)} / {seconds(step.p99)} ({step.requests})")
    return f"| {row.name} | " + " | ".join(cells) + " |"


def number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def seconds(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"


def target_row(verdict: Verdict) -> str:
    sign = "≥" if verdict.at_least else "≤"
    unit = "" if verdict.by == "count" else "×"
    measured = "not measured" if verdict.measured is None else f"{verdict.measured:.3g}{unit}"
    outcome = {True: "met", False: "missed", None: "open"}[verdict.met]
    return f"| {verdict.what} | {verdict.by} | {sign} {verdict.wanted:g}{unit} | {measured} | {outcome} |"


def overhead(rows: Sequence[OverheadRow]) -> str:
    """The Markdown of what serving adds."""
    if not rows:
        return "No complete run of `python -m measure.compare.overhead` is committed."
    first = rows[0]
    lines = [
        f"What serving adds to the encoder ({first.cpu}; commit {first.commit}; {first.run}; {first.clips}; the lone "
        f"clip has 3 s, median of {first.lone_clips}):",
        "",
        "| precision | served, audio s/s | bare | kept, wanted ≥ 95 % | | lone clip served | bare "
        "| added, wanted ≤ 15 ms | |",
        "|---|---:|---:|---:|---|---:|---:|---:|---|",
    ]
    for row in rows:
        kept, added = (("met" if good else "missed") for good in (row.kept >= KEPT, row.lone_added <= ADDED))
        lines.append(
            f"| {row.precision} | {row.served:.1f} | {row.bare:.1f} | {row.kept:.1%} | {kept} "
            f"| {1000 * row.lone_served:.0f} ms | {1000 * row.lone_bare:.0f} ms "
            f"| {1000 * row.lone_added:.0f} ms | {added} |"
        )
    return "\n".join(lines)


def newest_overhead(folder: Path) -> list[OverheadRow]:
    file = folder / OVERHEAD_FILE
    rows = [row for row in read(file, OverheadRow) if row.complete] if file.is_file() else []
    date = max((row.run for row in rows), default="")
    return [row for row in rows if row.run == date]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.compare.report", description="Write the comparison's tables."
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the CSVs")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    chosen = parser.parse_args(arguments)
    text = chosen.document.read_text(encoding="utf-8")
    written = report(*newest(chosen.results)) + "\n\n" + overhead(newest_overhead(chosen.results))
    chosen.document.write_text(insert(text, written, COMMAND), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
