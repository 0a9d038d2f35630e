"""Days and scores → PNGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measure.autoscale.day import Day
from measure.autoscale.sweep import SHARE, Score, Trial
from measure.figures import BLUE, GREEN, GREY, ORANGE, RED, save, style

COSTS = (0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3, 5, 8)
BROKEN = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)  # %
HOURS = (0, 6, 12, 18, 24)
SIZES_FILE, SIGNALS_FILE, THRESHOLDS_FILE = "sizes.png", "signals.png", "thresholds.png"
VALIDATION_FILE = "validation.png"


def sizes(days: Mapping[int, tuple[Trial, Day]], bound: float, folder: Path) -> Path:
    """A column a fleet: replicas against what the traffic needs, queue, and p99, over the day."""
    with style():
        figure = Figure(figsize=(12.5, 7), layout="constrained")
        grid = figure.subplots(3, len(days), sharex=True)
        for column, (size, (trial, day)) in enumerate(days.items()):
            top, middle, bottom = grid[:, column]
            replicas(top, trial, day)
            top.set_title(
                f"peak of {size} replica{'s' if size > 1 else ''}, {day.requests:,} requests\n"
                f"{day.replica_hours:,.0f} replica-hours, at constant size {24 * size:,}",
                fontsize=9, loc="left",
            )  # fmt: skip
            middle.plot(
                hours(day), np.maximum(day.waiting / np.maximum(day.ready, 1), 0.1), color=ORANGE, lw=0.7
            )
            middle.set_yscale("log")
            middle.set_ylim(0.1, 150)
            middle.yaxis.set_major_formatter("{x:g}")
            latency(bottom, day, bound)
            bottom.set_xlabel("hour of the day")
        grid[0, 0].set_ylabel("replicas")
        grid[1, 0].set_ylabel("waiting requests a replica,\nthe minute's most")
        grid[2, 0].set_ylabel("p99 of each minute, s")
        grid[0, -1].legend(frameon=False, fontsize=8, loc="upper left")
        return save(figure, folder / SIZES_FILE)


def replicas(axes: Axes, trial: Trial, day: Day) -> None:
    need = np.ceil(trial.profile * trial.size - 1e-9)
    axes.fill_between(hours(day), need, color=GREY, alpha=0.35, lw=0, step="mid", label="needed at capacity")
    axes.plot(hours(day), day.paid, color=BLUE, lw=1, label="paid for")
    axes.set_ylim(0, 1.15 * max(float(day.paid.max()), float(need.max())))
    axes.set_xlim(0, 24)
    axes.set_xticks(HOURS)


def latency(axes: Axes, day: Day, bound: float) -> None:
    finite = np.where(np.isfinite(day.p99), day.p99, np.nan)
    over = finite > bound
    axes.plot(hours(day), finite, color=GREEN, lw=0.6)
    axes.plot(hours(day)[over], finite[over], ".", color=RED, ms=3)
    lost = ~np.isfinite(day.p99)
    axes.plot(hours(day)[lost], np.full(lost.sum(), 150.0), "x", color=RED, ms=4)
    axes.axhline(bound, color=RED, lw=0.8, ls="--")
    axes.set_yscale("log")
    axes.set_ylim(0.5, 200)
    axes.yaxis.set_major_formatter("{x:g}")


def signals(days: Mapping[str, Day], trial: Trial, bound: float, folder: Path) -> Path:
    """A row a signal: the same day as each of them scales it."""
    with style():
        figure = Figure(figsize=(11, 1.75 * len(days) + 0.6), layout="constrained")
        grid = figure.subplots(len(days), 2, sharex=True, width_ratios=(3, 2))
        for (left, right), (name, day) in zip(grid, days.items(), strict=True):
            replicas(left, trial, day)
            share = 100 * day.share_within(bound)
            left.set_title(
                f"{titled(name)}: {day.replica_hours:.0f} replica-hours; p99 within {bound:g} s in {share:.1f} % of "
                f"the minutes; {day.failed:,} refused",
                fontsize=9, loc="left",
            )  # fmt: skip
            left.set_ylabel("replicas")
            latency(right, day, bound)
            right.set_ylabel("p99, s")
        grid[0, 0].legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
        for axes in grid[-1]:
            axes.set_xlabel("hour of the day")
        return save(figure, folder / SIGNALS_FILE)


def thresholds(scores: Sequence[Score], chosen: Score, folder: Path) -> Path:
    """Cost against broken minutes, a point a setting."""
    kinds = {
        "busy + queue": (BLUE, "o"), "busy": (GREEN, "s"), "queue": (ORANGE, "^"), "cpu": (GREY, "D"),
        "sample": (RED, "X"),
    }  # fmt: skip
    with style():
        figure = Figure(figsize=(8, 4.8), layout="constrained")
        axes = figure.subplots()
        for kind, (colour, marker) in kinds.items():
            mine = [it for it in scores if kind_of(it.name) == kind]
            label = {"busy": "inference seconds", "busy + queue": "inference seconds + queue depth"}.get(
                kind, kind
            )
            label = {"queue": "queue depth", "cpu": "CPU", "sample": "TorchServe's sample"}.get(kind, label)
            broken = [max(100 * (1 - it.within), 0.05) for it in mine]
            axes.plot(
                [it.cost for it in mine], broken, marker, color=colour, label=label, ms=5, alpha=0.85, lw=0
            )
            for it, y in zip(mine, broken, strict=True):
                if kind in ("busy", "queue", "cpu"):
                    axes.annotate(
                        it.name.split()[-1], (it.cost, y), (5, -10 if kind == "cpu" else 3),
                        textcoords="offset points", fontsize=7, color=colour,
                    )  # fmt: skip
        at = (chosen.cost, max(100 * (1 - chosen.within), 0.05))
        axes.plot(*at, "o", ms=12, mfc="none", color="black")
        line = {"arrowstyle": "-", "lw": 0.7, "shrinkB": 7}
        axes.annotate(
            f"recommended: {titled(chosen.name)}", at, (70, 55), textcoords="offset points", fontsize=8,
            arrowprops=line,
        )  # fmt: skip
        axes.axhline(100 * (1 - SHARE), color=RED, lw=0.8, ls="--")
        axes.set_yscale("log")
        axes.set_xscale("log")
        axes.set_xticks(COSTS, [f"{cost:g}" for cost in COSTS])
        axes.minorticks_off()
        axes.set_yticks(BROKEN, [f"{share:g}" for share in BROKEN])
        axes.set_xlabel("replica-hours, by those that foresight would need")
        axes.set_ylabel("% of the minutes whose p99 breaks the bound")
        axes.legend(frameon=False, fontsize=8)
        return save(figure, folder / THRESHOLDS_FILE)


def titled(name: str) -> str:
    return name.replace("busy", "inference seconds").replace("cpu", "CPU")


def kind_of(name: str) -> str:
    if "+" in name:
        return "busy + queue"
    return name.split()[0] if name.split()[0] in ("busy", "queue", "cpu") else "sample"


def validation(found: Mapping[str, Any], folder: Path) -> Path:
    """Latency against rate, measured and simulated, with both capacities."""
    with style():
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        points = found["points"]
        for quantile, colour in (("p50", GREEN), ("p99", BLUE)):
            for prefix, line, words in (("", "o-", "measured"), ("simulated_", "s--", "simulated")):
                known = [
                    (it["rate"], it[prefix + quantile]) for it in points if it[prefix + quantile] is not None
                ]
                axes.plot(
                    *zip(*known, strict=True), line, color=colour, ms=4, lw=1, label=f"{quantile}, {words}",
                    alpha=1.0 if not prefix else 0.6,
                )  # fmt: skip
        axes.axvline(found["measured_capacity"], color="black", lw=0.9, label="capacity, measured")
        axes.axvline(found["simulated_capacity"], color="black", lw=0.9, ls="--", label="capacity, simulated")
        axes.axhline(
            float(found["promise"].removeprefix("p99=").removesuffix("s")), color=RED, lw=0.8, ls="--"
        )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("requests a second offered")
        axes.set_ylabel("s from the scheduled arrival")
        axes.legend(frameon=False, fontsize=8)
        return save(figure, folder / VALIDATION_FILE)


def hours(day: Day) -> np.ndarray[Any, np.dtype[np.float64]]:
    made: np.ndarray[Any, np.dtype[np.float64]] = (np.arange(len(day.rate)) + 0.5) / 60
    return made
