"""README's picture: eight clips as a padded batch computes them, and packed end to end.

python -m measure.pages.picture
"""

from __future__ import annotations

import sys
from itertools import accumulate
from pathlib import Path

from measure import ROOT
from measure.figures import BLUE, GREY, ORANGE, drawn
from measure.workload import durations

FILE = ROOT / "docs" / "images" / "packing.png"
BATCH, SEED = 8, 0
BATCHES = 1000  # that the share of padding is the mean of


def padding() -> float:
    """The share of a padded batch's seconds that are no clip's, of VoxCeleb1's lengths in random order."""
    lengths = durations(BATCH * BATCHES, SEED).reshape(BATCHES, BATCH)
    computed = lengths.max(axis=1).sum() * BATCH
    return float(1 - lengths.sum() / computed)


def draw(path: Path) -> None:
    lengths = [float(each) for each in durations(BATCH, SEED)]
    colours = [BLUE, ORANGE] * (BATCH // 2)
    longest, total = max(lengths), sum(lengths)
    with drawn(path, 7.2, 2.6) as figure:
        padded, packed = figure.subplots(2, 1, sharex=True, height_ratios=(BATCH, 2.5))
        padded.barh(range(BATCH), longest, color=GREY, alpha=0.35, height=0.8)
        padded.barh(range(BATCH), lengths, color=colours, height=0.8)
        padded.text(
            longest + 0.8,
            BATCH / 2 - 0.5,
            f"padded: {BATCH} × {longest:.1f} s = {BATCH * longest:.0f} s are computed,\nand the grey changes answers",
            va="center",
        )
        starts = [0.0, *accumulate(lengths)][:BATCH]
        packed.barh([0] * BATCH, lengths, left=starts, color=colours, height=0.8, edgecolor="white")
        packed.text(total + 0.8, 0, f"packed: {total:.0f} s", va="center")
        for axes in (padded, packed):
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
        packed.set_xlim(0, total * 1.18)
        packed.set_xlabel("seconds of audio")


if __name__ == "__main__":
    draw(FILE)
    sys.exit(0)
