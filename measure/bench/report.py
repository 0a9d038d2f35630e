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
from measure.document import Columns, Page, Table, join, known

PAGE = Page.of("benchmark", "measure.bench.report")
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


def report(rows: Sequence[BenchmarkRow], growth: Sequence[GrowthRow]) -> str:
    """The Markdown of one run; ratios are the first columns."""
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
        Table.of(sorted(rows, key=lambda row: -row.throughput), COLUMNS, "rrlll"),
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


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(lambda results: report(*newest_run(results)), RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
