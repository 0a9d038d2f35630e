"""The recorded results → what stands between the markers of docs/results/loadtest.md:

python -m measure.loadtest.page
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import ROOT
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.results import load_json, save_json

RESULTS = ROOT / "measure" / "loadtest" / "results"
PAGE = Page.of("loadtest", "measure.loadtest.page")


@dataclass(frozen=True)
class Level:
    """One multiple.

    Attributes:
        offered, goodput: requests scheduled, and right answers received, a second.
        refused: requests a second that were answered with 429.
        other_errors: requests that failed in any other way, by code.
        answered_p99: seconds, of those that were answered.
        refused_p99: seconds, of those that were refused; None where none was.
    """

    multiple: float
    offered: float
    goodput: float
    refused: float
    other_errors: dict[str, int]
    answered_p99: float | None
    refused_p99: float | None


def keep(content: dict[str, Any], path: Path, record: bool) -> Path:
    """Write a result; with `record` as the repository's too, and the page from it. Gives the path."""
    if record:
        save_json(content, RESULTS / path.name)
        PAGE.write(text(RESULTS))
    return save_json(content, path)


def text(results: Path) -> str:
    written = {"overload.json": overload, "capacity-check.json": check}
    files = [(results / name, write) for name, write in written.items()]
    return join(*(write(load_json(file, "make")) for file, write in files if file.is_file()))


def measured(command: str, content: dict[str, Any], more: str = "") -> str:
    machine, clips = Machine(**content["machine"]), content["settings"]["clips"]
    return f"**`make {command}`** ({machine.words()}; {content['date'][:10]}; clips: {clips}{more}):"


def overload(content: dict[str, Any]) -> str:
    return join(
        measured("overload", content, f"; a burst is answered at {content['burst_per_second']:.1f}/s"),
        table([Level(**level) for level in content["levels"]]),
        f"At three times the load {content['goodput_kept']:.1%} of the best goodput is kept (90 % are wanted).",
    )


def table(levels: Sequence[Level]) -> Table:
    """A line a multiple: requests a second, p99 of the answers and of the refusals, other failures."""
    columns = ("load", "offered/s", "answered/s", "429/s", "p99 of answers", "p99 of a 429", "other errors")
    return Table(columns, [cells(level) for level in levels], align="r")


def cells(level: Level) -> tuple[str, ...]:
    return (
        f"{level.multiple:g}×",
        *(f"{rate:.1f}" for rate in (level.offered, level.goodput, level.refused)),
        "" if level.answered_p99 is None else f"{level.answered_p99:.2f} s",
        "" if level.refused_p99 is None else f"{1e3 * level.refused_p99:.0f} ms",
        str(sum(level.other_errors.values())),
    )


def check(content: dict[str, Any]) -> str:
    ours, other = content["locust"], content["k6"]
    return join(
        measured("capacity-check", content),
        f"At {ours['slo']} locust finds {ours['capacity_per_second']:.1f} and k6 {other['capacity_per_second']:.1f} "
        f"requests a second: {content['difference']:.1%} apart, and 10 % are allowed.",
    )


if __name__ == "__main__":
    sys.exit(PAGE.main(text, RESULTS))
