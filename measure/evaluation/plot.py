"""A report → a PNG: every condition's top-1 accuracy with its interval."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from measure.evaluation.conditions import CLEAN
from measure.evaluation.report import Report
from measure.figures import BLUE, DARK, save, style


def draw(report: Report, path: Path) -> Path:
    with style():
        return save(robustness(report), path)


def robustness(report: Report) -> Figure:
    """One line a condition, as recorded on top; whiskers are 95 % intervals."""
    figure = Figure(figsize=(7, 0.3 * len(report.conditions) + 1))
    axes = figure.subplots()
    for place, row in enumerate(reversed(report.conditions)):
        share = row.top1
        whiskers = [[100 * (share.value - share.low)], [100 * (share.high - share.value)]]
        colour = DARK if row.name == CLEAN else BLUE
        axes.errorbar(100 * share.value, place, xerr=whiskers, fmt="o", color=colour, capsize=2)
        label, at = f"{100 * share.value:.1f} %", (100 * share.value, place)
        axes.annotate(label, at, (0, 4), textcoords="offset points", ha="center", fontsize=7)
    axes.set_yticks(range(len(report.conditions)), [row.name for row in reversed(report.conditions)])
    axes.axvline(100 * report.clean.top1.value, color=DARK, lw=0.8, ls="--")
    axes.set_xlabel(f"top-1 accuracy in % of {report.clean.top1.clips} clips, with 95 % intervals")
    axes.set_title(f"{report.model} {report.version}, {report.corpus}", loc="left", fontsize=9)
    return figure
