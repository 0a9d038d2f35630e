"""Goodput under overload: what a server answers at multiples of its throughput in a burst."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from measure.loadtest import arrivals
from measure.loadtest.clips import Clip
from measure.loadtest.drive import Record, drive, plan
from measure.loadtest.page import Level, keep, table
from measure.loadtest.run import PACKAGES, settings
from measure.loadtest.server import Endpoint
from measure.loadtest.step import estimate
from measure.loadtest.summary import percentile
from measure.loadtest.terminal import watched
from measure.machine import provenance
from measure.noise import Neighbours
from measure.progress import Progression

MULTIPLES = (0.8, 1.0, 1.5, 3.0)  # of the throughput in a burst
WARMUP_SECONDS = 5.0  # the queue is full by then
KEPT = 0.9  # of the peak, at the highest multiple
REFUSED = 429


def overload(args: argparse.Namespace, clips: Sequence[Clip], endpoint: Endpoint, screen: Console) -> int:
    """Measures every multiple and writes overload.json; 1 if the goodput fell or a request failed otherwise."""
    neighbours = Neighbours()
    with screen.status("a burst, to estimate the throughput"):
        full = estimate(clips, endpoint.targets, args.seed)
    screen.print(f"a burst is answered at {full:.3g}/s")
    levels, end = [], WARMUP_SECONDS + args.duration
    for multiple in MULTIPLES:
        moments = arrivals.times("poisson", multiple * full, end, args.seed)
        with Progression(screen, f"{multiple:g} times that", len(moments)) as shown:
            records = drive(plan(clips, endpoint.targets, moments, end, args.seed), watched(shown))
        levels.append(level(records, multiple, WARMUP_SECONDS, end))
    peak = max(each.goodput for each in levels)
    share = levels[-1].goodput / peak
    content: dict[str, Any] = {
        **provenance(*PACKAGES),
        "settings": settings(args, clips, endpoint.targets),
        "foreign_cores": neighbours.cores() if endpoint.server else None,
        "burst_per_second": round(full, 3),
        "levels": [vars(each) for each in levels],
        "goodput_kept": round(share, 4),
    }
    path = keep(content, args.out / "overload.json", args.record)
    screen.print(table(levels).rich())
    held = share >= KEPT and not any(each.other_errors for each in levels)
    screen.print(
        f"at {MULTIPLES[-1]:g} times the load {share:.1%} of the best goodput is kept, {KEPT:.0%} are wanted; {path}",
        style="bold" if held else "bold red",
    )
    return 0 if held else 1


def level(records: Sequence[Record], multiple: float, begin: float, end: float) -> Level:
    """The figures of one multiple, between two times of the run in seconds."""
    due = [record for record in records if begin <= record.scheduled < end]
    out = [record for record in records if record.error is None and begin <= record.finished < end]
    refused = [record for record in due if record.status == REFUSED]
    others = Counter(record.error for record in due if record.error and record.status != REFUSED)
    seconds = end - begin
    return Level(
        multiple=multiple,
        offered=round(len(due) / seconds, 2),
        goodput=round(len(out) / seconds, 2),
        refused=round(len(refused) / seconds, 2),
        other_errors=dict(others),
        answered_p99=p99([record.latency for record in due if record.error is None]),
        refused_p99=p99([record.latency for record in refused]),
    )


def p99(latencies: Sequence[float]) -> float | None:
    found = percentile(sorted(latencies), 0.99) if latencies else math.inf
    return round(found, 3) if math.isfinite(found) else None
