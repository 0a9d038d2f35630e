"""The recorded runs → what stands between the markers of docs/results/fairness.md:

python -m measure.fairness.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measure import noise
from measure.document import Page, Table, join
from measure.fairness import FOLDER, RESULTS
from measure.fairness.callers import CONDITIONS
from measure.fairness.traffic import Run
from measure.machine import Machine
from measure.results import load_json, save_json

PAGE = Page.of("fairness", "measure.fairness.page")
WANTED = 1.05  # of the others' p99, beside a caller that keeps to its share
HEADINGS = (
    *("tokens", "the greedy caller sends", "sent/s", "answered/s", "429/s"),
    *("others' p50, ms", "p99, ms", "p50, times", "p99, times", "failed"),
)
FIRST = next(iter(CONDITIONS))  # which the others are compared with


def record(content: dict[str, Any]) -> None:
    """Keep the runs of this server beside those of others, and write the page again."""
    kept = load_json(RESULTS, "python -m measure.fairness") if RESULTS.exists() else {}
    save_json({**kept, content["settings"]["server"]: content}, RESULTS)
    PAGE.write(text(FOLDER))


def text(results: Path) -> str:
    if not (results / RESULTS.name).is_file():
        return "No result is recorded: `python -m measure.fairness` records one."
    kept = load_json(results / RESULTS.name, "python -m measure.fairness")
    return join(*(part for server, content in kept.items() for part in _server(server, content)))


def _server(server: str, content: dict[str, Any]) -> list[object]:
    runs = [Run(**run) for run in content["runs"]]
    machine, asked = Machine.model_validate(content["provenance"]["machine"]), content["settings"]
    return [
        f"### {server}",
        f"{content['provenance']['date'][:10]}, {machine.words()}; {asked['rounds']} rounds of {asked['seconds']:g} s "
        f"a run, in which the others send {asked['others']:g} requests a second together and the greedy caller's "
        f"share is {asked['share']:g} a second. {noise.words(content['foreign_cores'])}",
        table(runs),
    ]


def table(runs: Sequence[Run]) -> Table:
    """Medians over the rounds, and of each round's ratio to the run in which the greedy caller kept to its share."""
    rows = []
    for count in dict.fromkeys(run.tokens for run in runs):
        for condition in CONDITIONS:
            found = _of(runs, count, condition)
            rows.append(
                [
                    f"{count:,}",
                    condition,
                    *(f"{_median(found, name):.1f}" for name in ("sent", "answered", "refused")),
                    *(f"{_median(found, name):.0f}" for name in ("p50", "p99")),
                    *(ratio(runs, count, condition, name) for name in ("p50", "p99")),
                    str(sum(run.failed for run in found)),
                ]
            )
    return Table(HEADINGS, rows, "rl")


def ratio(runs: Sequence[Run], count: int, condition: str, name: str) -> str:
    """Of the medians, and the lowest and highest of a round's own."""
    ours, first = _of(runs, count, condition), _of(runs, count, FIRST)
    if condition == FIRST:
        return "1"
    each = [getattr(run, name) / getattr(base, name) for run, base in zip(ours, first, strict=True)]
    return f"{_median(ours, name) / _median(first, name):.2f} ({min(each):.2f}–{max(each):.2f})"


def _of(runs: Sequence[Run], count: int, condition: str) -> list[Run]:
    return [run for run in runs if (run.tokens, run.condition) == (count, condition)]


def _median(runs: Sequence[Run], name: str) -> float:
    value: Callable[[Run], float] = lambda run: getattr(run, name)  # noqa: E731
    return statistics.median(map(value, runs))


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
