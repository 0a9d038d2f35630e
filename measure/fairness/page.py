"""The recorded runs → what stands between the markers of docs/results/fairness.md:

python -m measure.fairness.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from measure.document import Page, Table
from measure.fairness import FOLDER
from measure.fairness.callers import CONDITIONS
from measure.fairness.traffic import FairnessRun
from measure.loadtest.comparison import Comparison, Content
from measure.loadtest.ratios import by_condition, compared, failed, percentiles

MOST = 1.05  # times the p99 that the others had beside a greedy caller that keeps to its share
HEADINGS = (
    *("tokens", "the greedy caller sends", "sent/s", "answered/s", "429/s"),
    *("others' p50, ms", "p99, ms", "p50, times", "p99, times", "at most 1.05", "failed"),
)
FIRST = next(iter(CONDITIONS))  # which the others are compared with


def method(asked: dict[str, Any]) -> str:
    return (
        f"{asked['rounds']} rounds of phases of {asked['seconds']:g} s, in which the others send {asked['others']:g} "
        f"requests a second together and the greedy caller's share is {asked['share']:g} a second"
    )


def table(runs: Sequence[FairnessRun]) -> Table:
    """Percentiles over all rounds, and their ratios to those beside a greedy caller that keeps to its share, over the
    rounds that have both."""
    rows = []
    for count in dict.fromkeys(run.tokens for run in runs):
        found = by_condition([run for run in runs if run.tokens == count], CONDITIONS)
        for condition, ours in found.items():
            rounds = {run.round for run in ours}
            first = ours if condition == FIRST else [run for run in found[FIRST] if run.round in rounds]
            means = (statistics.fmean(getattr(run, name) for run in ours) for name in FairnessRun.GREEDY)
            rows.append(
                [
                    f"{count:,}",
                    condition,
                    *(f"{mean:.1f}" for mean in means),
                    *percentiles(ours),
                    *compared(ours, first, MOST if CONDITIONS[condition][1] else None),
                    failed(ours),
                ]
            )
    return Table(HEADINGS, rows, "rl")


def figures(content: Content) -> list[Table | str]:
    return [table([FairnessRun.of(row) for row in content["runs"]])]


COMPARISON = Comparison(
    "fairness", FOLDER, Page.of("fairness", "measure.fairness.page"), "{}", method, figures
)


if __name__ == "__main__":
    sys.exit(COMPARISON.write())
