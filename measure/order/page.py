"""The recorded runs → what stands between the markers of docs/results/order.md:

python -m measure.order.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from measure import noise
from measure.document import Page, Table, join
from measure.loadtest.summary import percentile
from measure.machine import Machine
from measure.order import FOLDER, RESULTS
from measure.order.traffic import Run
from measure.results import load_json, save_json

PAGE = Page.of("order", "measure.order.page")
SHARES = (0.5, 0.99)
DRAWS = 1000
HEADINGS = ("beside the single clips", "p50, ms", "p99, ms", "p99, times", "audio-s/s", "times", "failed")
COST = ("kind", "CPU ms a second of audio", "times", "audio-s/s", "peak memory, MB", "times")
ALONE, WHOLE, SPLIT = "nothing", "64 clips, whole", "64 clips, split"
RECORDING = "a recording in windows"
CONDITIONS = (ALONE, WHOLE, SPLIT, RECORDING)
# whose figure the others' are compared with: latencies, and throughput
BASE = {WHOLE: (ALONE, None), SPLIT: (ALONE, WHOLE), RECORDING: (ALONE, None)}
SINGLE, LONG, WINDOWS = "clips of 3 s", "a clip of 120 s", "a recording in windows of 3 s"


def record(content: dict[str, Any]) -> None:
    """Keep the runs of this server beside those of others, and write the page again."""
    kept = load_json(RESULTS, "python -m measure.order") if RESULTS.exists() else {}
    save_json({**kept, content["settings"]["server"]: content}, RESULTS)
    PAGE.write(text(FOLDER))


def text(results: Path) -> str:
    if not (results / RESULTS.name).is_file():
        return "No result is recorded: `python -m measure.order` records one."
    kept = load_json(results / RESULTS.name, "python -m measure.order")
    return join(*(part for server, content in kept.items() for part in _server(server, content)))


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
                *(f"{pooled(found, share):.0f}" for share in SHARES),
                drawn(found, of(runs, latency), slowest) if latency else "1",
                f"{statistics.fmean(run.throughput for run in found):.1f}",
                drawn(found, of(runs, throughput), mean_throughput) if throughput else "",
                str(sum(run.failed for run in found)),
            ]
        )
    return Table(HEADINGS, rows, "l")


def of(runs: Sequence[Run], condition: str) -> list[Run]:
    return [run for run in runs if run.condition == condition]


def pooled(runs: Sequence[Run], share: float) -> float:
    """A percentile of the single clips' latencies in all of these runs."""
    return percentile(sorted(each for run in runs for each in run.latencies), share)


def slowest(runs: Sequence[Run]) -> float:
    return pooled(runs, SHARES[-1])


def mean_throughput(runs: Sequence[Run]) -> float:
    return statistics.fmean(run.throughput for run in runs)


def drawn(ours: Sequence[Run], theirs: Sequence[Run], figure: Any) -> str:
    """A ratio of two figures of the same rounds."""
    pairs, rng = list(zip(ours, theirs, strict=True)), np.random.default_rng(0)

    def ratio(chosen: Sequence[tuple[Run, Run]]) -> float:
        return float(figure([one for one, _ in chosen]) / figure([other for _, other in chosen]))

    found = [
        ratio([pairs[index] for index in rng.integers(len(pairs), size=len(pairs))]) for _ in range(DRAWS)
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    return f"{ratio(pairs):.2f} ({low:.2f}–{high:.2f})"


def cost_table(costs: Sequence[dict[str, Any]]) -> Table:
    """Medians of the rounds; processor time in units of single clips, memory in units of one long clip."""

    def median(kind: str, name: str) -> float:
        return float(statistics.median(each[name] for each in costs if each["kind"] == kind))

    kinds = [kind for kind in (SINGLE, LONG, WINDOWS) if any(each["kind"] == kind for each in costs)]
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


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
