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
from measure.compare.limits import limits
from measure.compare.plots import FILE
from measure.compare.results import ContenderRow, StepRow, newest_run
from measure.compare.targets import verdicts
from measure.document import Columns, Page, Table, join, known
from measure.verdict import Verdict

PAGE = Page.of("compare", "measure.compare.report")
TITLE = "Saturation, capacity and latencies of every contender"
NOTHING = "No complete run is committed: `make compare` makes one."
COLUMNS: Columns[ContenderRow] = [
    ("contender", lambda row: f"**{row.name}**" if row.name.startswith("ours") else row.name),
    ("batch", lambda row: row.batch),
    ("layout", lambda row: row.layout),
    ("audio s/s at saturation", lambda row: known(row.throughput, "{:.1f}")),
    ("capacity, requests/s", lambda row: known(row.capacity, "{:.2f}")),
    ("breaks at", lambda row: known(row.breaks_at, "{:.2f}")),
    ("answers", lambda row: row.answers),
    ("changed", lambda row: row.changed),
    ("scores off by", lambda row: known(row.score_drift, "{:.4f}")),
    ("errors", lambda row: row.errors),
    ("memory", lambda row: known(row.peak_mb, "{:.0f} MB")),
]


def text(folder: Path) -> str:
    """The Markdown of the newest complete run in the folder."""
    rows, steps = newest_run(folder)
    return join(report(rows, steps, NAMES, verdicts(rows), PAGE.image(TITLE, folder / FILE)), limits(rows))


def report(
    rows: Sequence[ContenderRow],
    steps: Sequence[StepRow],
    names: Sequence[str],
    judged: Sequence[Verdict],
    image: str,
) -> str:
    """The Markdown of one run.

    Args:
        names: of all that could have taken part.
        judged: the targets that the run is held to.
        image: its plot, as Markdown.
    """
    if not rows:
        return NOTHING
    first = rows[0]
    peers = ", ".join(dict.fromkeys(row.software for row in rows if row.software))
    present = sorted((row for row in rows if not row.absent), key=lambda row: -(row.throughput or 0))
    return join(
        f"{first.words(flags=True, software=f'{first.versions}; {peers}')}; {first.run}. Model: {first.model}. "
        f"Work: {first.clips}. Open arrivals of {first.step_seconds:g} s a rate; bound: p99 within {first.bound:g} s. "
        f"{noise.words(first.foreign_cores)}",
        Table.of(present, COLUMNS, "lrl"),
        "\n".join(f"- `{name}` was not measured: {why}" for name, why in missing(rows, names).items()),
        latencies(present, steps),
        judgement(judged, ".3g"),
        image,
    )


def judgement(judged: Sequence[Verdict], form: str) -> Table:
    return Table(
        ("target", "at", "wanted", "measured", ""),
        [(it.what, it.at, *it.cells(form)) for it in judged],
        "llrrl",
    )


def missing(rows: Sequence[ContenderRow], names: Sequence[str]) -> dict[str, str]:
    """Why, by name, of all contenders that there are."""
    found = {row.name: row for row in rows}
    reasons = {name: found[name].absent if name in found else "it took no part in this run" for name in names}
    return {name: why for name, why in reasons.items() if why}


def latencies(rows: Sequence[ContenderRow], steps: Sequence[StepRow]) -> Table | str:
    """The table of those that met open arrivals; nothing where ours held the bound at no rate."""
    at = {(step.name, step.share): step for step in steps}

    def cell(name: str, share: float) -> str:
        if (name, share) not in at:
            return "above its saturation"
        step = at[name, share]
        return f"{seconds(step.p50)} / {seconds(step.p99)} ({step.requests})"

    shares = sorted({step.share for step in steps if step.share is not None})
    if not shares:
        return ""
    met = {step.name for step in steps}
    return Table(
        ["p50 / p99, s", *(f"{share:.0%} of our fp32 capacity" for share in shares)],
        [[row.name, *(cell(row.name, share) for share in shares)] for row in rows if row.name in met],
    )


def seconds(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(text, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
