"""Rows → one PNG: what each contender does at saturation and at the bound, and its latencies under equal load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measure.bench.plots import BF16, FP32, save
from measure.compare.results import Row, StepRow

FILE = "compare.png"
OTHERS = "#999999"


def draw(folder: Path, rows: Sequence[Row], steps: Sequence[StepRow]) -> Path | None:
    """Writes the PNG; nothing where nothing was measured."""
    present = sorted((row for row in rows if row.throughput is not None), key=lambda row: row.throughput or 0)
    if not present:
        return None
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 0.36 * len(present) + 1.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        saturation(left, present)
        latencies(right, present, steps)
        left.set_title(
            f"{present[0].cpu}, {present[0].cores} cores, {present[0].run[:10]}", loc="left", fontsize=9
        )
        return save(figure, folder / FILE)


def colour(row: Row) -> str:
    return {"fp32": FP32, "bf16": BF16}[row.precision] if row.name.startswith("ours") else OTHERS


def saturation(axes: Axes, rows: Sequence[Row]) -> None:
    """Bars of audio seconds a second; a clip's mean length turns capacities into the same unit."""
    for place, row in enumerate(rows):
        assert row.throughput is not None
        axes.barh(place, row.throughput, color=colour(row), alpha=1.0 if row.right else 0.45)
        note = f" {row.throughput:.1f}"
        if row.capacity is not None:
            note += f"; {row.capacity:.2f} requests a second"
        if row.changed:
            note += f"; {row.changed} of {row.answers} answers changed"
        elif not row.right:
            note += "; scores changed"
        axes.text(row.throughput, place, note, va="center")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.margins(x=0.45)
    axes.set_xlabel(f"seconds of audio a second at saturation; capacity with p99 within {rows[0].bound:g} s")


def latencies(axes: Axes, rows: Sequence[Row], steps: Sequence[StepRow]) -> None:
    shares = sorted({step.share for step in steps if step.share is not None})
    places = {row.name: place for place, row in enumerate(rows)}
    for share, marker in zip(shares, "o^s", strict=False):
        mine = [it for it in steps if it.share == share and it.name in places and math.isfinite(it.p99)]
        axes.plot(
            [it.p99 for it in mine],
            [places[it.name] for it in mine],
            marker,
            label=f"{share:.0%} of our fp32 capacity",
            alpha=0.8,
        )
    axes.axvline(rows[0].bound, color="#777777", lw=0.8, ls="--")
    axes.set_xlabel("p99 from the scheduled arrival, s")
    if shares:
        axes.set_xscale("log")
        axes.legend(frameon=False, fontsize=8)
