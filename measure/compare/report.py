"""The newest complete runs → the tables between the markers of docs/results/compare.md:

python -m measure.compare.report
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from measure import noise
from measure.compare import RESULTS
from measure.compare.contenders import NAMES
from measure.compare.contest import SHARES
from measure.compare.plots import FILE
from measure.compare.results import OVERHEAD_FILE, ContenderRow, OverheadRow, StepRow, newest_run
from measure.compare.targets import verdicts
from measure.document import Page, Table, join
from measure.results import newest
from measure.verdict import Verdict

PAGE = Page.of("compare", "measure.compare.report")
NOTHING = "No complete run is committed: `make compare` makes one."
NO_OVERHEAD = "No complete run of `python -m measure.compare.overhead` is committed."
KEPT, ADDED = 0.95, 15.0  # of the bare encoder's throughput at saturation; ms that a lone clip may take more
HEADINGS = (
    *(
        "contender",
        "batch",
        "layout",
        "audio s/s at saturation",
        "capacity, requests/s",
        "breaks at",
        "answers",
    ),
    *("changed", "scores off by", "errors", "memory"),
)
OF_OVERHEAD = (
    *("precision", "served, audio s/s", "bare", "kept, wanted ≥ 95 %", ""),
    *("lone clip served", "bare", "added, wanted ≤ 15 ms", ""),
)


def text(folder: Path) -> str:
    """The Markdown of the newest complete runs in the folder."""
    return join(report(*newest_run(folder)), overhead(newest(folder / OVERHEAD_FILE, OverheadRow)))


def report(rows: Sequence[ContenderRow], steps: Sequence[StepRow]) -> str:
    """The Markdown of one run."""
    if not rows:
        return NOTHING
    first = rows[0]
    peers = ", ".join(dict.fromkeys(row.software for row in rows if row.software))
    present = sorted((row for row in rows if not row.absent), key=lambda row: -(row.throughput or 0))
    return join(
        f"{first.words(flags=True, software=f'{first.versions}; {peers}')}; {first.run}. Model: {first.model}. "
        f"Work: {first.clips}. Open arrivals of {first.step_seconds:g} s a rate; bound: p99 within {first.bound:g} s. "
        f"{noise.words(first.foreign_cores)}",
        Table(HEADINGS, [cells(row) for row in present], "lrl"),
        "\n".join(f"- `{name}` was not measured: {why}" for name, why in missing(rows).items()),
        latencies(present, steps),
        Table(
            ("target", "at", "wanted", "measured", ""),
            [(it.what, it.at, *it.cells(".3g")) for it in verdicts(rows)],
            "llrrl",
        ),
        PAGE.image("Saturation, capacity and latencies of every contender", RESULTS / FILE),
    )


def cells(row: ContenderRow) -> list[str]:
    return [
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


def number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def missing(rows: Sequence[ContenderRow]) -> dict[str, str]:
    """Why, by name, of all contenders that there are."""
    found = {row.name: row for row in rows}
    reasons = {name: found[name].absent if name in found else "it took no part in this run" for name in NAMES}
    return {name: why for name, why in reasons.items() if why}


def latencies(rows: Sequence[ContenderRow], steps: Sequence[StepRow]) -> Table | str:
    """The table of those that met open arrivals; nothing where ours held the bound at no rate."""
    at = {(step.name, step.share): step for step in steps}

    def cell(name: str, share: float) -> str:
        if (name, share) not in at:
            return "above its saturation"
        step = at[name, share]
        return f"{seconds(step.p50)} / {seconds(step.p99)} ({step.requests})"

    if all(step.share is None for step in steps):
        return ""
    met = {step.name for step in steps}
    return Table(
        ["p50 / p99, s", *(f"{share:.0%} of our fp32 capacity" for share in SHARES)],
        [[row.name, *(cell(row.name, share) for share in SHARES)] for row in rows if row.name in met],
    )


def seconds(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"


def overhead(rows: Sequence[OverheadRow]) -> str:
    """The Markdown of what serving adds."""
    if not rows:
        return NO_OVERHEAD
    first = rows[0]
    return join(
        f"What serving adds to the encoder ({first.cpu}; commit {first.commit}; {first.run}; {first.clips}; the lone "
        f"clip has 3 s, median of {first.lone_clips}):",
        Table(OF_OVERHEAD, [overhead_cells(row) for row in rows], "lrrrlrrrl"),
    )


def overhead_cells(row: OverheadRow) -> list[str]:
    served, bare, added = (1000 * it for it in (row.lone_served, row.lone_bare, row.lone_added))
    _, kept, enough = Verdict("", KEPT, row.kept, unit="").cells(".1%")
    _, more, fast = Verdict("", ADDED, added, at_least=False, unit=" ms").cells(".0f")
    throughputs = (f"{row.served:.1f}", f"{row.bare:.1f}")
    return [row.precision, *throughputs, kept, enough, f"{served:.0f} ms", f"{bare:.0f} ms", more, fast]


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(text, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
