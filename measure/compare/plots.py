"""Rows → one PNG: what each contender does at saturation and at the bound, and its latencies under equal load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from measure.compare.results import ContenderRow, StepRow
from measure.figures import DARK, GREY, PRECISION, drawn

FILE = "compare.png"


def draw(folder: Path, rows: Sequence[ContenderRow], steps: Sequence[StepRow]) -> None:
    """Writes the PNG; nothing where nothing was measured."""
    present = sorted((row for row in rows if row.throughput is not None), key=lambda row: row.throughput or 0)
    if not present:
        return
    with drawn(folder / FILE, 11, 0.36 * len(present) + 1.6) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        saturation(left, present)
        latencies(right, present, steps)
        first = present[0]
        left.set_title(f"{first.cpu}, {first.cores} cores, {first.run[:10]}", loc="left", fontsize=9)


def saturation(axes: Axes, rows: Sequence[ContenderRow]) -> None:
    """Bars of audio seconds a second; a clip's mean length turns capacities into the same unit."""
    for place, row in enumerate(rows):
        assert row.throughput is not None
        colour = PRECISION[row.precision] if row.name.startswith("ours") else GREY
        axes.barh(place, row.throughput, color=colour, alpha=1.0 if row.right else 0.45)
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


def latencies(axes: Axes, rows: Sequence[ContenderRow], steps: Sequence[StepRow]) -> None:
    shares = sorted({step.share for step in steps if step.share is not None})
    places = {row.name: place for place, row in enumerate(rows)}
    for share, marker in zip(shares, "o^s", strict=False):
        mine = [it for it in steps if it.share == share and it.name in places and math.isfinite(it.p99)]
        label = f"{share:.0%} of our fp32 capacity"
        axes.plot([it.p99 for it in mine], [places[it.name] for it in mine], marker, label=label, alpha=0.8)
    axes.axvline(rows[0].bound, color=DARK, lw=0.8, ls="--")
    axes.set_xlabel("p99 from the scheduled arrival, s")
    if shares:
        axes.set_xscale("log")
        axes.legend(fontsize=8)
