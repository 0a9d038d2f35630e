"""The recorded runs → what stands between the markers of docs/results/order.md:

python -m measure.order.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from measure import noise
from measure.by_server import Recorded
from measure.document import Page, Table
from measure.loadtest.phases import interval, pooled, ratio, shown
from measure.machine import Machine
from measure.order import FOLDER, RESULTS
from measure.order.sounds import IN_WINDOWS, LONG, SINGLE
from measure.order.traffic import Run

PAGE = Page.of("order", "measure.order.page")
SHARES = (0.5, 0.99)
HEADINGS = ("beside the single clips", "p50, ms", "p99, ms", "p99, times", "audio-s/s", "times", "failed")
COST = ("kind", "CPU ms a second of audio", "times", "audio-s/s", "peak memory, MB", "times")
ALONE, WHOLE, SPLIT = "nothing", "64 clips, whole", "64 clips, split"
RECORDING = "a recording in windows"
CONDITIONS = (ALONE, WHOLE, SPLIT, RECORDING)
# whose figure the others' are compared with: latencies, and throughput
BASE = {WHOLE: (ALONE, None), SPLIT: (ALONE, WHOLE), RECORDING: (ALONE, None)}


def _server(server: str, content: dict[str, Any]) -> list[object]:
    machine, asked = Machine.model_validate(content["provenance"]["machine"]), content["settings"]
    return [
        f"### {server}",
        f"{content['provenance']['date'][:10]}, {machine.words()}; the model {asked['model']}, {asked['rounds']} "
        f"rounds of {asked['seconds']:g} s a run, {asked['rate']:g} single clips a second, a recording of "
        f"{asked['recording']:g} s. {noise.words(content['foreign_cores'])}",
        table([Run.of(run) for run in content["runs"]]),
        cost_table(content["costs"]),
    ]


def table(runs: Sequence[Run]) -> Table:
    """Percentiles over all rounds, and ratios with an interval of 95 %, for which rounds are drawn again."""
    rows = []
    for condition in CONDITIONS:
        found = of(runs, condition)
        if not found:
            continue
        latency, throughput = BASE.get(condition, (None, None))
        rows.append(
            [
                condition,
                *(f"{pooled((run.latencies for run in found), share):.0f}" for share in SHARES),
                slower(found, of(runs, latency)) if latency else "1",
                f"{statistics.fmean(run.throughput for run in found):.1f}",
                faster(found, of(runs, throughput)) if throughput else "",
                str(sum(run.failed for run in found)),
            ]
        )
    return Table(HEADINGS, rows, "l")


def of(runs: Sequence[Run], condition: str) -> list[Run]:
    return [run for run in runs if run.condition == condition]


def slower(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """The ratio of the slowest latencies."""
    return shown(ratio([run.latencies for run in ours], [run.latencies for run in theirs], SHARES[-1]))


def faster(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """The ratio of the mean throughputs."""
    mine, others = ([run.throughput for run in runs] for runs in (ours, theirs))
    return shown(interval(mine, others, statistics.fmean))


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


RECORDED = Recorded("python -m measure.order", RESULTS, PAGE, _server)
record, text = RECORDED.record, RECORDED.text


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
