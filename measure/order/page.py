"""The recorded runs → what stands between the markers of docs/results/order.md:

python -m measure.order.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure.document import Page, Table
from measure.loadtest.comparison import Comparison, Content
from measure.loadtest.ratios import SHARES, by_condition, failed, percentiles, ratio, shown, slower
from measure.order import FOLDER
from measure.order.sounds import IN_WINDOWS, LONG, SINGLE
from measure.order.traffic import ALONE, CONDITIONS, RECORDING, SPLIT, WHOLE, OrderRun

HEADINGS = ("beside the single clips", "p50, ms", "p99, ms", "p99, times", "audio-s/s", "times", "failed")
COST = ("kind", "CPU ms a second of audio", "times", "audio-s/s", "peak memory, MB", "times")
# whose figure the others' are compared with: latencies, and throughput
BASE = {WHOLE: (ALONE, None), SPLIT: (ALONE, WHOLE), RECORDING: (ALONE, None)}


def method(asked: dict[str, Any]) -> str:
    recording = f", a recording of {asked['recording']:g} s" if asked["recording"] else ""
    return (
        f"the model {Path(asked['model']).name}, {asked['rounds']} rounds of {asked['seconds']:g} s a run, "
        f"{asked['rate']:g} single clips a second{recording}"
    )


def table(runs: Sequence[OrderRun]) -> Table:
    """Percentiles over all rounds, and ratios with an interval of 95 %, for which rounds are drawn again."""
    rows = []
    found = by_condition(runs, CONDITIONS)
    for condition, ours in found.items():
        latency, throughput = BASE.get(condition, (None, None))
        rows.append(
            [
                condition,
                *percentiles(ours),
                shown(slower(ours, found[latency], SHARES[-1])) if latency else "1",
                f"{mean_throughput(ours):.1f}",
                shown(ratio(ours, found[throughput], mean_throughput)) if throughput else "",
                failed(ours),
            ]
        )
    return Table(HEADINGS, rows, "l")


def mean_throughput(runs: Sequence[OrderRun]) -> float:
    return statistics.fmean(run.throughput for run in runs)


def cost_table(costs: Sequence[dict[str, Any]]) -> Table:
    """Medians of the rounds; processor time in units of single clips, memory in units of one long clip."""

    def median(kind: str, name: str) -> float:
        return float(statistics.median(each[name] for each in costs if each["kind"] == kind))

    kinds = [kind for kind in (SINGLE, LONG, IN_WINDOWS) if any(each["kind"] == kind for each in costs)]
    rows = [
        [
            kind,
            f"{1000 * median(kind, 'cpu'):.1f}",
            f"{median(kind, 'cpu') / median(SINGLE, 'cpu'):.2f}",
            f"{median(kind, 'throughput'):.1f}",
            f"{median(kind, 'peak') / 1e6:.0f}",
            f"{median(kind, 'peak') / median(LONG, 'peak'):.2f}",
        ]
        for kind in kinds
    ]
    return Table(COST, rows, "l")


def figures(content: Content) -> list[Table | str]:
    runs = table([OrderRun.of(row) for row in content["runs"]])
    return [runs, cost_table(content["costs"])] if content["costs"] else [runs]


COMPARISON = Comparison("order", FOLDER, Page.of("order", "measure.order.page"), "{}", method, figures)


if __name__ == "__main__":
    sys.exit(COMPARISON.write())
