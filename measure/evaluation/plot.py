"""A report → a PNG: every condition's top-1 accuracy with its interval."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from measure.evaluation.conditions import CLEAN
from measure.evaluation.report import Report

COLOUR, BASELINE = "#4c72b0", "#777777"


def draw(report: Report, path: Path) -> Path:
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        robustness(report).savefig(path, dpi=130, bbox_inches="tight", metadata={"Software": None})
    return path


def robustness(report: Report) -> Figure:
    """One line a condition, as recorded on top; whiskers are 95 % intervals."""
    figure = Figure(figsize=(7, 0.3 * len(report.conditions) + 1))
    axes = figure.subplots()
    for place, row in enumerate(reversed(report.conditions)):
        share = row.top1
        whiskers = [[100 * (share.value - share.low)], [100 * (share.high - share.value)]]
        colour = BASELINE if row.name == CLEAN else COLOUR
        axes.errorbar(100 * share.value, place, xerr=whiskers, fmt="o", color=colour, capsize=2)
        axes.annotate(
            f"{share.value:.1%}".replace("%", " %"),
            (100 * share.value, place),
            (0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    axes.set_yticks(range(len(report.conditions)), [row.name for row in reversed(report.conditions)])
    axes.axvline(100 * report.clean.top1.value, color=BASELINE, lw=0.8, ls="--")
    axes.set_xlabel(f"top-1 accuracy in % of {report.clean.top1.clips} clips, with 95 % intervals")
    axes.set_title(f"{report.model} {report.version}, {report.corpus}", loc="left", fontsize=9)
    return figure
