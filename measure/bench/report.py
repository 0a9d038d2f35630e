"""The newest complete run → the tables between the markers of docs/results/benchmark.md:

python -m measure.bench.report
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from measure import ROOT
from measure.bench import RESULTS
from measure.bench.targets import Verdict, verdicts
from measure.document import insert
from measure.results import GrowthRow, Row, newest

DOCUMENT = ROOT / "docs" / "results" / "benchmark.md"
COMMAND = "measure.bench.report"  # as the markers name it
NOTHING = "No complete run is committed: `make bench` makes one."


def report(rows: Sequence[Row], growth: Sequence[GrowthRow]) -> str:
    """The Markdown of one run, in which a cell says what it is: ratios come first."""
    if not rows:
        return NOTHING
    first = rows[0]
    state = f"commit {first.commit}" + (" with changes on top" if first.dirty else "")
    ceilings = ", ".join(f"{precision} {peak:.0f} GFLOP/s" for precision, peak in peaks(rows).items())
    lines = [
        f"{first.cpu}, {first.cores} cores, {first.cpu_flags}; {first.versions}; {state}; {first.run}. Model: "
        f"{first.model}. Work: {first.clips}. One large matrix product reaches {ceilings}. Other programs and the "
        f"host kept {first.foreign_cores:.2f} cores busy meanwhile.",
        "",
        "| × best | × same layout | engine | layout | allocator | audio s/s | of peak | lone 3 s | 8 s | 20 s "
        "| memory | answers kept | logits off by |",
        "|---:|---:|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(table_row(row) for row in sorted(rows, key=lambda row: -row.throughput)),
        "",
        "| target | wanted | measured | |",
        "|---|---:|---:|---|",
        *(target_row(verdict) for verdict in verdicts(rows, growth)),
    ]
    if growth:
        lengths = sorted({row.clip_seconds for row in growth})
        costs = {(row.name, row.clip_seconds): row.ms_per_audio_second for row in growth}
        lines += [
            "",
            "| ms a second of audio, by clip length | " + " | ".join(f"{it:g} s" for it in lengths) + " |",
            "|---|" + "---:|" * len(lengths),
            *(
                f"| {name} | " + " | ".join(f"{costs[name, length]:.0f}" for length in lengths) + " |"
                for name in dict.fromkeys(row.name for row in growth)
            ),
        ]
    lines += ["", "![Throughput of every contestant](../../measure/bench/results/throughput.png)"]
    lines += (
        ["", "![What a second of audio costs as clips grow](../../measure/bench/results/growth.png)"]
        if growth
        else []
    )
    return "\n".join(lines)


def peaks(rows: Sequence[Row]) -> dict[str, float]:
    return {row.precision: row.peak_gflops for row in rows}


def table_row(row: Row) -> str:
    same = "" if row.ratio_same_layout is None else f"{row.ratio_same_layout:.2f}"
    lone = [
        "" if value is None else f"{value:.2f} s"
        for value in (row.latency_3s, row.latency_8s, row.latency_20s)
    ]
    cells = [
        f"**{row.ratio_best:.2f}**",
        same,
        row.engine,
        row.layout,
        row.allocator,
        f"{row.throughput:.1f}",
    ]
    cells += [f"{row.peak_fraction:.0%}", *lone, f"{row.peak_mb:.0f} MB"]
    cells += [f"{row.top1_agreement:.1%}", f"{row.max_logit_difference:.0e}"]
    return "| " + " | ".join(cells) + " |"


def target_row(verdict: Verdict) -> str:
    sign = "≥" if verdict.at_least else "≤"
    return (
        f"| {verdict.what} | {sign} {verdict.wanted:g}× | {verdict.measured:.2f}× "
        f"| {'met' if verdict.met else 'missed'} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.bench.report", description="Write the benchmark's tables."
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the CSVs")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    chosen = parser.parse_args(arguments)
    text = chosen.document.read_text(encoding="utf-8")
    chosen.document.write_text(insert(text, report(*newest(chosen.results)), COMMAND), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
