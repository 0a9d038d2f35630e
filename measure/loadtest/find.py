"""The commands `capacity` and `check`: the search by our generator, and by k6 too."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from measure.loadtest import k6, slo, terminal
from measure.loadtest.capacity import PRECISION, Capacity, Step, search
from measure.loadtest.clips import Clip
from measure.loadtest.page import keep
from measure.loadtest.run import PACKAGES, settings
from measure.loadtest.server import Endpoint
from measure.loadtest.slo import Slo
from measure.loadtest.step import estimate, measure, measured_seconds, warmup_seconds
from measure.loadtest.summary import Summary
from measure.machine import provenance
from measure.noise import Neighbours, warning
from measure.progress import Progression

DEFAULT_SLO = "p99=2s"
BELOW, ABOVE = 0.6, 1.15  # of the throughput in a burst: a first bracket that is mostly right
K6_BELOW, K6_ABOVE = 0.85, 1.2  # of our capacity, where k6 begins
K6_STEPS = 5
CHECK_CLIPS = 16  # k6 holds every clip once a user, in memory
AGREEMENT = 0.1  # largest relative difference between the two generators


def capacity(args: argparse.Namespace, clips: Sequence[Clip], endpoint: Endpoint, screen: Console) -> int:
    """Finds and writes the capacity; the exit code."""
    from measure.loadtest import plots  # here, not above: matplotlib takes a second, and a refusal needs none

    objective = slo.parse(args.slo or DEFAULT_SLO)
    neighbours = Neighbours()
    found = ours(args, clips, endpoint, screen, objective)
    foreign = neighbours.cores() if endpoint.server else None
    path = plots.capacity(found, {}, args.out / "capacity.png")
    content = {"foreign_cores": foreign, "capacity": found.to_json()}
    write(args, clips, endpoint, content, args.out / "capacity.json")
    if foreign is not None and (text := warning(foreign)):
        screen.print(text, style="bold red")
    screen.print(f"{path} and capacity.json have the details")
    return 0


def check(args: argparse.Namespace, clips: Sequence[Clip], endpoint: Endpoint, screen: Console) -> int:
    """Finds the capacity with both generators under constant arrivals, k6's only kind; 1 if they disagree."""
    from measure.loadtest import plots  # as above

    k6.executable()
    objective = slo.parse(args.slo or DEFAULT_SLO)
    by_length = sorted(clips, key=lambda clip: clip.seconds)
    clips = by_length[:: max(1, len(by_length) // CHECK_CLIPS)]
    found = ours(args, clips, endpoint, screen, objective)
    screen.print(f"k6, from {K6_BELOW * found.rate:.3g}/s to {K6_ABOVE * found.rate:.3g}/s", style="bold")
    seeds = itertools.count(args.seed)

    def run(rate: float) -> Summary:
        with screen.status(f"k6 at {rate:.2f}/s"):
            return k6.measure(clips, endpoint.targets[0], objective, rate, next(seeds))

    low, high = K6_BELOW * found.rate, K6_ABOVE * found.rate
    other = search(run, objective, low, high, most_steps=K6_STEPS, on_step=announce(screen, objective))
    difference = abs(other.rate - found.rate) / max(other.rate, found.rate)
    agree = difference <= AGREEMENT
    path = plots.capacity(found, {"k6": other}, args.out / "capacity-check.png")
    content: dict[str, Any] = {"locust": found.to_json(), "k6": other.to_json()}
    content |= {"difference": round(difference, 4), "agree": agree}
    write(args, clips, endpoint, content, args.out / "capacity-check.json", args.record)
    screen.print(
        f"locust {found.rate:.3g}/s, k6 {other.rate:.3g}/s: {100 * difference:.0f} % apart, "
        f"{100 * AGREEMENT:.0f} % is allowed; {path}",
        style="bold" if agree else "bold red",
    )
    return 0 if agree else 1


def ours(
    args: argparse.Namespace,
    clips: Sequence[Clip],
    endpoint: Endpoint,
    screen: Console,
    objective: Slo,
) -> Capacity:
    """The search with our generator, and its result on the terminal."""
    with screen.status("a burst, to estimate where to begin"):
        full = estimate(clips, endpoint.targets, args.seed)
    low, high = BELOW * full, ABOVE * full
    length = warmup_seconds(objective) + measured_seconds(objective, low)
    screen.print(
        f"SLO {objective}, {args.shape} arrivals; a burst is answered at {full:.3g}/s, "
        f"so from {low:.3g}/s to {high:.3g}/s, {args.steps} steps of {length:.0f} s at most"
    )
    seeds = itertools.count(args.seed)

    def run(rate: float) -> Summary:
        seconds = warmup_seconds(objective) + measured_seconds(objective, rate)
        with Progression(screen, f"{rate:8.2f}/s", round(rate * seconds)) as shown:
            watch, seed = terminal.watched(shown), next(seeds)
            return measure(clips, endpoint.targets, objective, rate, seed, shape=args.shape, progress=watch)

    found = search(run, objective, low, high, most_steps=args.steps, on_step=announce(screen, objective))
    screen.print(verdict(found), style="bold")
    return found


def announce(screen: Console, objective: Slo) -> Callable[[Step], None]:
    return lambda step: screen.print(terminal.step_line(step, objective), highlight=False)


def verdict(found: Capacity) -> str:
    """The capacity and how sure it is, in a line."""
    low = "unknown" if found.low is None else f"{found.low:.3g}"
    high = "unknown" if found.high is None else f"{found.high:.3g}"
    text = (
        f"capacity {found.rate:.3g} requests/s at {found.slo} (95 %: meets it at {low}, misses it at {high})"
    )
    if not found.repeated:
        text += "; not repeated, as the steps were used up"
    if all(step.passed for step in found.steps):
        text += "; no rate tried missed it"
    return text


def write(
    args: argparse.Namespace,
    clips: Sequence[Clip],
    endpoint: Endpoint,
    content: dict[str, Any],
    path: Path,
    record: bool = False,
) -> None:
    asked = settings(args, clips, endpoint.targets)
    keep({**provenance(*PACKAGES), "settings": asked, "precision": PRECISION, **content}, path, record)
