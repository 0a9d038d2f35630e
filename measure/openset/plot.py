"""The study → two figures: DET curves, and how far probabilities can be believed."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

from measure.figures import BLUE, DARK, GREEN, GREY, ORANGE, drawn
from measure.openset import SECONDS
from measure.openset.heard import Table

COLOURS = dict(zip(map(str, SECONDS), (ORANGE, BLUE, GREEN), strict=True))
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


def det(study: Table, path: Path) -> None:
    """Misses over false alarms, both on the normal deviate's scale: a straight line for normal scores."""
    deviate = NormalDist().inv_cdf
    with drawn(path, 4.2, 4) as figure:
        axes = figure.subplots()
        for seconds, found in study["lengths"].items():
            points = [
                (deviate(alarm), deviate(miss))
                for miss, alarm in zip(*found["never_heard"]["det"], strict=True)
                if 0 < miss < 1 and 0 < alarm < 1
            ]
            eer = found["never_heard"]["eer"]["value"]
            axes.plot(
                [alarm for alarm, _ in points],
                [miss for _, miss in points],
                color=COLOURS[seconds],
                label=f"{seconds} s, EER {100 * eer:.1f} %",
            )
        edges = deviate(0.008), deviate(0.5)
        axes.plot(edges, edges, color=GREY, lw=0.6, ls=":")
        places, names = [deviate(tick) for tick in TICKS], [f"{100 * tick:g}" for tick in TICKS]
        axes.set_xticks(places, names)
        axes.set_yticks(places, names)
        axes.set(xlim=edges, ylim=edges, xlabel="false alarms, %", ylabel="misses, %")
        axes.legend(loc="upper right", fontsize=8)


def reliability(study: Table, path: Path) -> None:
    """The share that is right over the probability that is said, before and after calibration."""
    with drawn(path, 7, 2.6) as figure:
        for axes, (seconds, found) in zip(
            figure.subplots(1, len(SECONDS), sharey=True), study["lengths"].items(), strict=True
        ):
            axes.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls=":")
            for name, colour in (("before", DARK), ("after", BLUE)):
                bins = found["gallery"]["reliability"][name]
                sizes = [10 + 150 * share for *_, share in bins]
                axes.scatter(
                    [x for x, *_ in bins], [y for _, y, _ in bins], sizes, color=colour, alpha=0.7, label=name
                )
            axes.set(title=f"{seconds} s", xlabel="probability", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        figure.axes[0].set_ylabel("share right")
        figure.axes[0].legend(fontsize=8, loc="upper left")
