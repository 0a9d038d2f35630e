"""The newest complete run → the tables between the markers of docs/results/benchmark.md:

python -m measure.bench.report
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from measure import noise
from measure.bench import RESULTS
from measure.bench.plots import GROWTH_PLOT, THROUGHPUT_FILE
from measure.bench.results import BenchmarkRow, GrowthRow, newest_run
from measure.bench.targets import verdicts
from measure.document import Page, Table, join

PAGE = Page.of("benchmark", "measure.bench.report")
NOTHING = "No complete run is committed: `make bench` makes one."
HEADINGS = (
    *(
        "× best",
        "× same layout",
        "engine",
        "layout",
        "allocator",
        "audio s/s",
        "of peak",
        "lone 3 s",
        "8 s",
        "20 s",
    ),
    *("memory", "answers kept", "logits off by"),
)


def report(rows: Sequence[BenchmarkRow], growth: Sequence[GrowthRow]) -> str:
    """The Markdown of one run, in which a cell says what it is: ratios come first."""
    if not rows:
        return NOTHING
    first, lengths = rows[0], sorted({row.clip_seconds for row in growth})
    peaks = {row.precision: row.peak_gflops for row in rows}
    ceilings = ", ".join(f"{precision} {peak:.0f} GFLOP/s" for precision, peak in peaks.items())
    costs = {(row.name, row.clip_seconds): f"{row.ms_per_audio_second:.0f}" for row in growth}
    names = dict.fromkeys(row.name for row in growth)
    return join(
        f"{first.words(flags=True)}; {first.run}. Model: {first.model}. Work: {first.clips}. One large matrix product "
        f"reaches {ceilings}. {noise.words(first.foreign_cores)}",
        Table(HEADINGS, [cells(row) for row in sorted(rows, key=lambda row: -row.throughput)], "rrlll"),
        Table(
            ("target", "wanted", "measured", ""),
            [(it.what, *it.cells(".2f")) for it in verdicts(rows, growth)],
            "lrrl",
        ),
        Table(
            ["ms a second of audio, by clip length", *(f"{it:g} s" for it in lengths)],
            [[name, *(costs[name, length] for length in lengths)] for name in names],
        ),
        PAGE.image("Throughput of every contestant", RESULTS / THROUGHPUT_FILE),
        PAGE.image("What a second of audio costs as clips grow", RESULTS / GROWTH_PLOT) if growth else "",
    )


def cells(row: BenchmarkRow) -> list[str]:
    lone = (row.latency_3s, row.latency_8s, row.latency_20s)
    return [
        f"**{row.ratio_best:.2f}**",
        "" if row.ratio_same_layout is None else f"{row.ratio_same_layout:.2f}",
        *(row.engine, row.layout, row.allocator),
        f"{row.throughput:.1f}",
        f"{row.peak_fraction:.0%}",
        *("" if value is None else f"{value:.2f} s" for value in lone),
        f"{row.peak_mb:.0f} MB",
        f"{row.top1_agreement:.1%}",
        f"{row.max_logit_difference:.0e}",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(lambda results: report(*newest_run(results)), RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
