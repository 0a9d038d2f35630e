"""The recorded runs → what stands between the markers of docs/results/fairness.md:

python -m measure.fairness.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from measure import noise
from measure.by_server import Recorded
from measure.document import Page, Table
from measure.fairness import FOLDER, RESULTS
from measure.fairness.callers import CONDITIONS
from measure.fairness.traffic import Run
from measure.loadtest.phases import pooled, ratio, shown, verdict
from measure.machine import Machine

PAGE = Page.of("fairness", "measure.fairness.page")
SHARES = (0.5, 0.99)
MOST = 1.05  # times the p99 that the others had beside a greedy caller that keeps to its share
HEADINGS = (
    *("tokens", "the greedy caller sends", "sent/s", "answered/s", "429/s"),
    *("others' p50, ms", "p99, ms", "p50, times", "p99, times", "at most 1.05", "failed"),
)
FIRST = next(iter(CONDITIONS))  # which the others are compared with


def _server(server: str, content: dict[str, Any]) -> list[object]:
    runs = [Run.of(run) for run in content["runs"]]
    machine, asked = Machine.model_validate(content["provenance"]["machine"]), content["settings"]
    apart = "contrasts" not in asked  # as it was measured before there were phases
    parts = "runs of their own, not phases, with clips of all lengths," if apart else "phases"
    return [
        f"### {server}",
        f"{content['provenance']['date'][:10]}, {machine.words()}; {asked['rounds']} rounds of {parts} of "
        f"{asked['seconds']:g} s, in which the others send {asked['others']:g} requests a second together and the "
        f"greedy caller's share is {asked['share']:g} a second. {noise.words(content['foreign_cores'])}",
        table(runs),
    ]


def table(runs: Sequence[Run]) -> Table:
    """Percentiles over all rounds, and their ratios to those beside a greedy caller that keeps to its share, over the
    rounds that have both."""
    rows = []
    for count in dict.fromkeys(run.tokens for run in runs):
        for condition in CONDITIONS:
            found = _of(runs, count, condition)
            if not found:
                continue
            shared = {run.round for run in found}
            first = [run for run in _of(runs, count, FIRST) if run.round in shared]
            means = (
                statistics.fmean(getattr(run, name) for run in found)
                for name in ("sent", "answered", "refused")
            )
            ours, theirs = ([run.latencies for run in runs] for runs in (found, first))
            ratios = [] if condition == FIRST else [ratio(ours, theirs, share) for share in SHARES]
            rows.append(
                [
                    f"{count:,}",
                    condition,
                    *(f"{mean:.1f}" for mean in means),
                    *(f"{pooled(ours, share):.0f}" for share in SHARES),
                    *(map(shown, ratios) if ratios else ("1", "1")),
                    verdict(ratios[-1], MOST) if ratios and CONDITIONS[condition][1] else "",
                    str(sum(run.failed for run in found)),
                ]
            )
    return Table(HEADINGS, rows, "rl")


def _of(runs: Sequence[Run], count: int, condition: str) -> list[Run]:
    return [run for run in runs if (run.tokens, run.condition) == (count, condition)]


RECORDED = Recorded("python -m measure.fairness", RESULTS, PAGE, _server)
record, text = RECORDED.record, RECORDED.text


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
