"""Rows → PNGs: throughput with ratios, and what a second of audio costs as clips grow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measure.bench.results import BenchmarkRow, GrowthRow
from measure.figures import DARK, PRECISION, drawn

OURS = "packed"
THROUGHPUT_FILE, GROWTH_PLOT = "throughput.png", "growth.png"


def draw(folder: Path, rows: Sequence[BenchmarkRow], growth: Sequence[GrowthRow]) -> None:
    """Writes the PNGs into the folder."""
    throughput(rows, folder / THROUGHPUT_FILE)
    if growth:
        by_length(growth, folder / GROWTH_PLOT)


def throughput(rows: Sequence[BenchmarkRow], path: Path) -> None:
    """One bar a contestant, the fastest on top; the line is Hugging Face one clip at a time at its best."""
    ordered = sorted(rows, key=lambda row: row.throughput)
    with drawn(path, 8, 0.33 * len(ordered) + 1.2, layout=None) as figure:
        axes = figure.subplots()
        for place, row in enumerate(ordered):
            alpha = 1.0 if row.engine.startswith(OURS) else 0.45
            axes.barh(place, row.throughput, color=PRECISION[row.precision], alpha=alpha)
            note = f" {row.throughput:.1f}  ({row.ratio_best:.2f}×)"
            if row.top1_agreement < 1:
                note += f"  {1 - row.top1_agreement:.0%} of the answers changed"
            axes.text(row.throughput, place, note, va="center")
        axes.set_yticks(range(len(ordered)), [row.name for row in ordered])
        best = max(row.throughput for row in rows if row.engine == "hf-one")
        axes.axvline(best, color=DARK, lw=0.8, ls="--")
        axes.margins(x=0.3)
        axes.set_xlabel(
            "seconds of audio a second; in brackets, against Hugging Face one clip at a time at its best"
        )
        axes.set_title(f"{rows[0].cpu}, {rows[0].cores} cores, {rows[0].run[:10]}", loc="left", fontsize=9)


def by_length(growth: Sequence[GrowthRow], path: Path) -> None:
    with drawn(path, 7, 4, layout=None) as figure:
        axes = figure.subplots()
        for name in dict.fromkeys(row.name for row in growth):
            mine = [row for row in growth if row.name == name]
            costs = [row.ms_per_audio_second for row in mine]
            axes.plot([row.clip_seconds for row in mine], costs, "o-", label=name)
        lengths = sorted({row.clip_seconds for row in growth})
        axes.set_xscale("log")
        axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("length of the clip, s")
        axes.set_ylabel("ms of work for a second of audio")
        axes.legend()
