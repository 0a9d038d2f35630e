"""The newest complete run of each processor → the tables between the markers of docs/results/benchmark.md:

python -m measure.bench.report
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from measure import noise
from measure.bench import RESULTS
from measure.bench.plots import GROWTH_PLOT, THROUGHPUT_FILE
from measure.bench.results import ABSENT_FILE, AbsentRow, BenchmarkRow, GrowthRow, Run, runs
from measure.bench.targets import verdicts
from measure.document import Columns, Page, Table, join, known
from measure.machine import HELD
from measure.results import read

PAGE = Page.of("benchmark", "measure.bench.report")
SESSION = timedelta(days=1)  # between runs that were made for one another
NOTHING = "No complete run is committed: `make bench` makes one."
COLUMNS: Columns[BenchmarkRow] = [
    ("× best", lambda row: f"**{row.ratio_best:.2f}**"),
    ("× same layout", lambda row: known(row.ratio_same_layout, "{:.2f}")),
    ("engine", lambda row: row.engine),
    ("layout", lambda row: row.layout),
    ("allocator", lambda row: row.allocator),
    ("audio s/s", lambda row: f"{row.throughput:.1f}"),
    ("of peak", lambda row: f"{row.peak_fraction:.0%}"),
    ("lone 3 s", lambda row: known(row.latency_3s, "{:.2f} s")),
    ("8 s", lambda row: known(row.latency_8s, "{:.2f} s")),
    ("20 s", lambda row: known(row.latency_20s, "{:.2f} s")),
    ("memory", lambda row: f"{row.peak_mb:.0f} MB"),
    ("answers kept", lambda row: f"{row.top1_agreement:.1%}"),
    ("logits off by", lambda row: f"{row.max_logit_difference:.0e}"),
]


SIMULATED = (
    "**An approximation**: this processor, whose libraries are told by environment variables to use AVX2 alone "
    "(`--processor avx2`). Its caches, clock and units are its own. Other software ignores that, and is left out."
)


def text(folder: Path) -> str:
    """The Markdown of the results in a folder."""
    return report(runs(folder), read(folder / ABSENT_FILE, AbsentRow))


def report(runs: Sequence[Run], absent: Sequence[AbsentRow] = ()) -> str:
    """The Markdown: processors side by side, then each one's run, with who was absent from it."""
    if not runs:
        return NOTHING
    newest = max(rows[0].run for rows, _ in runs)
    drawn = max((rows[0].run for rows, _ in runs if HELD not in rows[0].cpu), default="")
    return join(
        side_by_side(runs) if len(runs) > 1 else "", *(one(*run, newest, drawn, absent) for run in runs)
    )


def side_by_side(runs: Sequence[Run]) -> str:
    """Each engine's fastest set-up, by processor."""
    best = [fastest(rows) for rows, _ in runs]
    names = dict.fromkeys(name for each in best for name in each)

    def cell(row: BenchmarkRow | None) -> str:
        return f"**{row.ratio_best:.2f}**, {row.peak_fraction:.0%}" if row else ""

    columns = ["engine, in its fastest set-up", *(rows[0].cpu for rows, _ in runs)]
    return join(
        "Against Hugging Face one clip at a time at its best, and of what one large product reaches; each column is a "
        "run of its own, so that figures compare within a column:",
        Table(columns, [[name, *(cell(each.get(name)) for each in best)] for name in names]),
    )


def fastest(rows: Sequence[BenchmarkRow]) -> dict[str, BenchmarkRow]:
    return {row.engine: row for row in sorted(rows, key=lambda row: row.throughput)}


def one(
    rows: Sequence[BenchmarkRow],
    growth: Sequence[GrowthRow],
    newest: str,
    drawn: str,
    absent: Sequence[AbsentRow],
) -> str:
    """One processor's run; ratios are the first columns.

    Args:
        newest: when the newest run was.
        drawn: when the run was that the plots show.
    """
    first, lengths = rows[0], sorted({row.clip_seconds for row in growth})
    peaks = {row.precision: row.peak_gflops for row in rows}
    ceilings = ", ".join(f"{precision} {peak:.0f} GFLOP/s" for precision, peak in peaks.items())
    costs = {(row.name, row.clip_seconds): f"{row.ms_per_audio_second:.0f}" for row in growth}
    names = dict.fromkeys(row.name for row in growth)
    plans = {row.engine: plan for row in rows if (plan := row.backend.partition(": ")[2])}
    pictured = first.run == drawn
    old = datetime.fromisoformat(newest) - datetime.fromisoformat(first.run) > SESSION
    return join(
        f"### {first.cpu}",
        SIMULATED if HELD in first.cpu else "",
        f"Not run again: measured at commit {first.commit}." if old else "",
        f"{first.words(flags=True)}; {first.run}. Model: {first.model}. Work: {first.clips}. One large matrix product "
        f"reaches {ceilings}. {noise.words(first.foreign_cores)}",
        Table.of(sorted(rows, key=lambda row: -row.throughput), COLUMNS, "rrlll"),
        Table(
            ("took no part", "because"), [[it.name, it.reason] for it in absent if it.run == first.run], "ll"
        ),
        Table(
            ("target", "wanted", "measured", ""),
            [(it.what, *it.cells(".2f")) for it in verdicts(rows, growth)],
            "lrrl",
        ),
        Table(("kernels of", ""), [[engine, f"`{plan}`"] for engine, plan in plans.items()], "ll"),
        Table(
            ["ms a second of audio, by clip length", *(f"{it:g} s" for it in lengths)],
            [[name, *(costs[name, length] for length in lengths)] for name in names],
        ),
        PAGE.image("Throughput of every contestant", RESULTS / THROUGHPUT_FILE) if pictured else "",
        PAGE.image("What a second of audio costs as clips grow", RESULTS / GROWTH_PLOT)
        if growth and pictured
        else "",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(text, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
