"""Days and scores → PNGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from measure.autoscale.day import Day, Trial
from measure.autoscale.sweep import SHARE, Score
from measure.autoscale.traffic import Floats
from measure.figures import BLUE, GREEN, GREY, ORANGE, RED, drawn

COSTS = (0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3, 5, 8)
BROKEN = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)  # %
HOURS = (0, 6, 12, 18, 24)
SIZES_FILE, SIGNALS_FILE, THRESHOLDS_FILE = "sizes.png", "signals.png", "thresholds.png"
VALIDATION_FILE = "validation.png"
KINDS = {  # of a setting: label, colour, marker
    "busy + queue": ("inference seconds + queue depth", BLUE, "o"),
    "busy": ("inference seconds", GREEN, "s"),
    "queue": ("queue depth", ORANGE, "^"),
    "cpu": ("CPU", GREY, "D"),
    "sample": ("TorchServe's sample", RED, "X"),
}


def sizes(days: Mapping[int, tuple[Trial, Day]], bound: float, folder: Path) -> None:
    """A column a fleet: replicas against what the traffic needs, queue, and p99, over the day."""
    with drawn(folder / SIZES_FILE, 12.5, 7) as figure:
        grid = figure.subplots(3, len(days), sharex=True)
        for column, (size, (trial, day)) in enumerate(days.items()):
            top, middle, bottom = grid[:, column]
            replicas(top, trial, day)
            title = (
                f"peak of {size} replica{'s' if size > 1 else ''}, {day.requests:,} requests\n"
                f"{day.replica_hours:,.0f} replica-hours, at constant size {24 * size:,}"
            )
            top.set_title(title, fontsize=9, loc="left")
            waiting = np.maximum(day.waiting / np.maximum(day.ready, 1), 0.1)
            middle.plot(hours(day), waiting, color=ORANGE, lw=0.7)
            logarithmic(middle, 0.1, 150)
            latency(bottom, day, bound)
            bottom.set_xlabel("hour of the day")
        grid[0, 0].set_ylabel("replicas")
        grid[1, 0].set_ylabel("waiting requests a replica,\nthe minute's most")
        grid[2, 0].set_ylabel("p99 of each minute, s")
        grid[0, -1].legend(fontsize=8, loc="upper left")


def replicas(axes: Axes, trial: Trial, day: Day) -> None:
    need = np.ceil(trial.profile * trial.size - 1e-9)
    axes.fill_between(hours(day), need, color=GREY, alpha=0.35, lw=0, step="mid", label="needed at capacity")
    axes.plot(hours(day), day.paid, color=BLUE, lw=1, label="paid for")
    axes.set_ylim(0, 1.15 * max(float(day.paid.max()), float(need.max())))
    axes.set_xlim(0, 24)
    axes.set_xticks(HOURS)


def latency(axes: Axes, day: Day, bound: float) -> None:
    finite = np.where(np.isfinite(day.p99), day.p99, np.nan)
    over, lost = finite > bound, ~np.isfinite(day.p99)
    axes.plot(hours(day), finite, color=GREEN, lw=0.6)
    axes.plot(hours(day)[over], finite[over], ".", color=RED, ms=3)
    axes.plot(hours(day)[lost], np.full(lost.sum(), 150.0), "x", color=RED, ms=4)
    axes.axhline(bound, color=RED, lw=0.8, ls="--")
    logarithmic(axes, 0.5, 200)


def logarithmic(axes: Axes, least: float | None = None, most: float | None = None) -> None:
    axes.set_yscale("log")
    axes.set_ylim(least, most)
    axes.yaxis.set_major_formatter("{x:g}")


def signals(days: Mapping[str, Day], trial: Trial, bound: float, folder: Path) -> None:
    """A row a signal: the same day as each of them scales it."""
    with drawn(folder / SIGNALS_FILE, 11, 1.75 * len(days) + 0.6) as figure:
        grid = figure.subplots(len(days), 2, sharex=True, width_ratios=(3, 2))
        for (left, right), (name, day) in zip(grid, days.items(), strict=True):
            replicas(left, trial, day)
            share = 100 * day.share_within(bound)
            title = (
                f"{titled(name)}: {day.replica_hours:.0f} replica-hours; p99 within {bound:g} s in {share:.1f} % of "
                f"the minutes; {day.failed:,} refused"
            )
            left.set_title(title, fontsize=9, loc="left")
            left.set_ylabel("replicas")
            latency(right, day, bound)
            right.set_ylabel("p99, s")
        grid[0, 0].legend(fontsize=8, loc="upper left", ncols=2)
        for axes in grid[-1]:
            axes.set_xlabel("hour of the day")


def thresholds(scores: Sequence[Score], chosen: Score, folder: Path) -> None:
    """Cost against broken minutes, a point a setting."""
    with drawn(folder / THRESHOLDS_FILE, 8, 4.8) as figure:
        axes = figure.subplots()
        for kind, (label, colour, marker) in KINDS.items():
            mine = [it for it in scores if kind_of(it.name) == kind]
            costs, broken = [it.cost for it in mine], [broken_share(it) for it in mine]
            axes.plot(costs, broken, marker, color=colour, label=label, ms=5, alpha=0.85, lw=0)
            for it in mine if kind in ("busy", "queue", "cpu") else ():
                place = (it.cost, broken_share(it))
                offset, text = (5, -10 if kind == "cpu" else 3), it.name.split()[-1]
                axes.annotate(text, place, offset, textcoords="offset points", fontsize=7, color=colour)
        at = (chosen.cost, broken_share(chosen))
        axes.plot(*at, "o", ms=12, mfc="none", color="black")
        line, text = {"arrowstyle": "-", "lw": 0.7, "shrinkB": 7}, f"recommended: {titled(chosen.name)}"
        axes.annotate(text, at, (70, 55), textcoords="offset points", fontsize=8, arrowprops=line)
        axes.axhline(100 * (1 - SHARE), color=RED, lw=0.8, ls="--")
        axes.set_yscale("log")
        axes.set_xscale("log")
        axes.set_xticks(COSTS, [f"{cost:g}" for cost in COSTS])
        axes.minorticks_off()
        axes.set_yticks(BROKEN, [f"{share:g}" for share in BROKEN])
        axes.set_xlabel("replica-hours, by those that foresight would need")
        axes.set_ylabel("% of the minutes whose p99 breaks the bound")
        axes.legend(fontsize=8)


def broken_share(score: Score) -> float:
    """% of the minutes; a logarithm knows no 0."""
    return max(100 * (1 - score.within), BROKEN[0])


def titled(name: str) -> str:
    return name.replace("busy", "inference seconds").replace("cpu", "CPU")


def kind_of(name: str) -> str:
    first = name.split()[0]
    return "busy + queue" if "+" in name else first if first in KINDS else "sample"


def validation(found: Mapping[str, Any], folder: Path) -> None:
    """Latency against rate, measured and simulated, with both capacities."""
    with drawn(folder / VALIDATION_FILE, 7.2, 4.2) as figure:
        axes = figure.subplots()
        for quantile, colour in (("p50", GREEN), ("p99", BLUE)):
            for key, line, alpha in ((quantile, "o-", 1.0), (f"simulated_{quantile}", "s--", 0.6)):
                points = [(it["rate"], it[key]) for it in found["points"] if it[key] is not None]
                label = f"{quantile}, {'measured' if key == quantile else 'simulated'}"
                axes.plot(
                    *zip(*points, strict=True), line, color=colour, ms=4, lw=1, label=label, alpha=alpha
                )
        axes.axvline(found["measured_capacity"], color="black", lw=0.9, label="capacity, measured")
        axes.axvline(found["simulated_capacity"], color="black", lw=0.9, ls="--", label="capacity, simulated")
        bound = float(found["slo"].removeprefix("p99=").removesuffix("s"))
        axes.axhline(bound, color=RED, lw=0.8, ls="--")
        logarithmic(axes)
        axes.set_xlabel("requests a second offered")
        axes.set_ylabel("s from the scheduled arrival")
        axes.legend(fontsize=8)


def hours(day: Day) -> Floats:
    made: Floats = (np.arange(len(day.rate)) + 0.5) / 60
    return made
