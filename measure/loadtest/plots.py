"""Records → figures, as SVG text or PNG files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measure.figures import BLUE, GREEN, GREY, ORANGE, RED, drawn, style, svg
from measure.loadtest.capacity import Capacity
from measure.loadtest.drive import Record
from measure.loadtest.slo import Slo, name
from measure.loadtest.summary import percentile

COLOURS = {0.5: GREEN, 0.95: BLUE, 0.99: ORANGE}
Edges = npt.NDArray[np.float64]  # s, of the intervals of a time axis, ascending
BINS = 40  # of a time axis, at most
SHORTEST_BIN = 1.0  # s


def run_plots(records: Sequence[Record], end: float, warmup: float, slo: Slo | None) -> dict[str, str]:
    """Title → SVG of every plot that the records allow."""
    measured = [record for record in records if record.scheduled >= warmup]
    edges = np.arange(0.0, end + 1e-9, max(SHORTEST_BIN, end / BINS))
    draw: dict[str, Callable[[Axes], None]] = {
        "Latency": lambda axes: cdf(axes, measured, slo),
        "Latency over time": lambda axes: over_time(axes, records, edges, slo),
        "Offered and served": lambda axes: rates(axes, records, edges),
    }
    if any(record.queue_ms is not None for record in measured):
        draw["Where the time goes"] = lambda axes: split(axes, records, edges)
    if any(record.batch_size for record in measured):
        draw["Batch size"] = lambda axes: batches(axes, measured)
    shown = {}
    for title, paint in draw.items():
        with style():
            figure = Figure(figsize=(6.4, 3.4), layout="constrained")
            axes = figure.subplots()
            paint(axes)
            if title in ("Latency over time", "Offered and served", "Where the time goes"):
                axes.set_xlabel("s since the start")
                axes.set_xlim(0, max(end, 1e-9))
                axes.axvspan(0, warmup, color=GREY, alpha=0.15, lw=0)
            shown[title] = svg(figure)
    return shown


def cdf(axes: Axes, records: Sequence[Record], slo: Slo | None) -> None:
    """The share of the requests answered within a latency; failed ones never are."""
    latencies = sorted(math.inf if record.error else record.latency for record in records)
    answered = [latency for latency in latencies if math.isfinite(latency)]
    shares = 100 * np.arange(1, len(answered) + 1) / len(latencies)
    axes.step(answered, shares, where="post", color=BLUE)
    for quantile, colour in COLOURS.items():
        value = percentile(latencies, quantile)
        if math.isfinite(value):
            axes.plot([value], [100 * quantile], "o", color=colour, label=f"{name(quantile)} {value:.3g} s")
    for quantile, bound in (slo.latencies if slo else {}).items():
        axes.axvline(bound, color=RED, ls="--", lw=0.9, label=f"SLO: {name(quantile)} {bound:g} s")
    axes.set_xscale("log")
    axes.set_xlabel("s from the scheduled send time")
    axes.set_ylabel("% of the requests answered")
    axes.set_ylim(0, 101)
    axes.xaxis.set_major_formatter("{x:g}")
    legend(axes)


def over_time(axes: Axes, records: Sequence[Record], edges: Edges, slo: Slo | None) -> None:
    """Percentiles of the requests scheduled in each interval, over every single one as a dot."""
    good = [record for record in records if record.error is None]
    due, latencies = [record.scheduled for record in good], [record.latency for record in good]
    axes.plot(due, latencies, ".", color=GREY, ms=2, alpha=0.5, rasterized=True)
    for quantile, colour in COLOURS.items():
        stretches = (sorted(record.latency for record in it) for it in binned(good, edges))
        values = [percentile(ascending, quantile) if ascending else math.nan for ascending in stretches]
        axes.plot(middles(edges), values, color=colour, label=name(quantile))
    for bound in set(slo.latencies.values()) if slo else ():
        axes.axhline(bound, color=RED, ls="--", lw=0.9, label=f"SLO {bound:g} s")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("s from the scheduled send time")
    legend(axes)


def rates(axes: Axes, records: Sequence[Record], edges: Edges) -> None:
    """Requests a second that were scheduled, answered and failed in each interval."""
    lines = {
        "offered": (GREY, [record.scheduled for record in records]),
        "served": (GREEN, [record.finished for record in records if record.error is None]),
        "failed": (RED, [record.finished for record in records if record.error is not None]),
    }
    for label, (colour, moments) in lines.items():
        if moments:
            counts, _ = np.histogram(moments, edges)
            axes.plot(middles(edges), counts / np.diff(edges), color=colour, label=label)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("requests a second")
    legend(axes)


def split(axes: Axes, records: Sequence[Record], edges: Edges) -> None:
    """Mean milliseconds of a request in each interval, stacked."""
    known = [record for record in records if record.queue_ms is not None]
    stretches = binned(known, edges)
    parts: dict[str, tuple[str, Callable[[Record], float | None]]] = {
        "inference": (BLUE, lambda record: record.inference_ms),
        "decoding": (GREEN, lambda record: record.decode_ms),
        "queue and transport": (ORANGE, lambda record: record.queue_ms),
    }
    heights = [
        [float(np.mean([get(record) or 0.0 for record in it])) if it else 0.0 for it in stretches]
        for _, get in parts.values()
    ]
    colours = [colour for colour, _ in parts.values()]
    axes.stackplot(middles(edges), np.array(heights), labels=list(parts), colors=colours, alpha=0.85, lw=0)
    axes.set_ylabel("ms, mean of the requests")
    legend(axes)


def batches(axes: Axes, records: Sequence[Record]) -> None:
    sizes = [record.batch_size for record in records if record.batch_size]
    counts = np.bincount(sizes)[1:]
    axes.bar(range(1, len(counts) + 1), 100 * counts / len(sizes), color=BLUE)
    axes.set_xticks(range(1, len(counts) + 1, max(1, len(counts) // 16)))
    axes.set_xlabel("requests in the batch that a request was answered in")
    axes.set_ylabel("% of the requests")


def legend(axes: Axes) -> None:
    """In a row above the axes, where it covers no line."""
    axes.legend(ncols=5, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, columnspacing=1.2)


def capacity(found: Capacity, others: dict[str, Capacity], path: Path) -> Path:
    """Latency against rate, with the bound, the capacity and its interval, as a PNG."""
    with drawn(path, 7.2, 4.2) as figure:
        axes = figure.subplots()
        steps = sorted(found.steps, key=lambda step: step.rate)
        for quantile in sorted({0.5, *found.slo.latencies}):
            colour = COLOURS.get(quantile, ORANGE)
            known = [step for step in steps if math.isfinite(step.summary.percentile(quantile))]
            values = np.array([step.summary.percentile(quantile) for step in known])
            ends = np.array([step.summary.interval(quantile) for step in known]).reshape(-1, 2)
            top = np.where(np.isfinite(ends[:, 1]), ends[:, 1], values)  # too few requests for an upper end
            bars = np.stack([values - ends[:, 0], top - values])
            at = [step.rate for step in known]
            axes.errorbar(at, values, bars, fmt="o-", color=colour, ms=4, capsize=2, label=name(quantile))
        for quantile, bound in found.slo.latencies.items():
            axes.axhline(bound, color=RED, ls="--", lw=0.9, label=f"SLO: {name(quantile)} {bound:g} s")
        axes.axvline(found.rate, color="black", lw=0.9, label=f"capacity {found.rate:.3g}/s")
        if found.low and found.high:
            axes.axvspan(found.low, found.high, color=GREY, alpha=0.2, lw=0, label="95 % interval")
        for label, other in others.items():
            axes.axvline(other.rate, color=BLUE, lw=0.9, ls=":", label=f"{label}: {other.rate:.3g}/s")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("requests a second offered")
        axes.set_ylabel("s from the scheduled send time, with 95 % intervals")
        axes.legend(loc="upper left")
    return path


def binned(records: Sequence[Record], edges: Edges) -> list[list[Record]]:
    """The records by the interval that they were scheduled in."""
    stretches: list[list[Record]] = [[] for _ in edges[1:]]
    for record in records:
        place = int(np.searchsorted(edges, record.scheduled, side="right")) - 1
        if 0 <= place < len(stretches):
            stretches[place].append(record)
    return stretches


def middles(edges: Edges) -> Edges:
    return edges[:-1] + np.diff(edges) / 2
