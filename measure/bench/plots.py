"""Rows → PNGs: throughput with ratios, and what a second of audio costs as clips grow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from measure.results import GrowthRow, Row

OURS, FP32, BF16, BEST_HF = "packed", "#4c72b0", "#dd8452", "#777777"
THROUGHPUT_FILE, GROWTH_PLOT = "throughput.png", "growth.png"


def draw(folder: Path, rows: Sequence[Row], growth: Sequence[GrowthRow]) -> list[Path]:
    """Writes the PNGs into the folder; gives their paths."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        made = [save(throughput(rows), folder / THROUGHPUT_FILE)]
        if growth:
            made.append(save(by_length(growth), folder / GROWTH_PLOT))
    return made


def save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, bbox_inches="tight", metadata={"Software": None})
    return path


def throughput(rows: Sequence[Row]) -> Figure:
    """One bar a contestant, the fastest on top; the line is Hugging Face one clip at a time at its best."""
    ordered = sorted(rows, key=lambda row: row.throughput)
    figure = Figure(figsize=(8, 0.33 * len(ordered) + 1.2))
    axes = figure.subplots()
    for place, row in enumerate(ordered):
        colour = FP32 if row.precision == "fp32" else BF16
        axes.barh(place, row.throughput, color=colour, alpha=1.0 if row.engine.startswith(OURS) else 0.45)
        note = f" {row.throughput:.1f}  ({row.ratio_best:.2f}×)"
        if row.top1_agreement < 1:
            note += f"  {1 - row.top1_agreement:.0%} of the answers changed"
        axes.text(row.throughput, place, note, va="center")
    axes.set_yticks(range(len(ordered)), [row.name for row in ordered])
    axes.axvline(
        max(row.throughput for row in rows if row.engine == "hf-one"), color=BEST_HF, lw=0.8, ls="--"
    )
    axes.margins(x=0.3)
    axes.set_xlabel(
        "seconds of audio a second; in brackets, against Hugging Face one clip at a time at its best"
    )
    axes.set_title(f"{rows[0].cpu}, {rows[0].cores} cores, {rows[0].run[:10]}", loc="left", fontsize=9)
    return figure


def by_length(growth: Sequence[GrowthRow]) -> Figure:
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for name in dict.fromkeys(row.name for row in growth):
        mine = [row for row in growth if row.name == name]
        axes.plot(
            [row.clip_seconds for row in mine], [row.ms_per_audio_second for row in mine], "o-", label=name
        )
    lengths = sorted({row.clip_seconds for row in growth})
    axes.set_xscale("log")
    axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("length of the clip, s")
    axes.set_ylabel("ms of work for a second of audio")
    axes.legend(frameon=False)
    return figure
