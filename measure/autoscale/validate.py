"""The simulated replica against the real server of the demo model, at one replica:

python -m measure.autoscale.validate      writes measure/autoscale/results/validation.json and validation.png

The load test measures latencies at some rates and searches the capacity; the simulation replays the same moments and
clips, with service times that were fitted on others (`measure.autoscale.measure`). Needs a quiet machine.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from measure import command, machine
from measure.autoscale import measure, replica, service
from measure.autoscale.report import VALIDATION
from measure.autoscale.service import Service
from measure.loadtest import arrivals
from measure.loadtest import slo as slos
from measure.loadtest.capacity import MOST_STEPS as STEPS_OF_A_SEARCH
from measure.loadtest.capacity import search
from measure.loadtest.clips import Clip
from measure.loadtest.drive import drive, plan
from measure.loadtest.slo import Slo
from measure.loadtest.step import measure as measure_step
from measure.loadtest.step import warmup_seconds
from measure.loadtest.summary import Summary, finite, summary
from measure.loadtest.target import Target
from measure.noise import Neighbours
from measure.results import save_json
from serving import model_servers
from serving.model_servers import Chosen

SLO = "p99=2s"
SHARES = (0.3, 0.5, 0.7, 0.85)  # of the predicted capacity, where the latency is measured
SECONDS = 15.0  # of each
BELOW, ABOVE = 0.92, 1.08  # of the predicted capacity, where the search begins
SEARCH_STEPS = 5
REPEATS = 5  # simulated searches, whose median is the prediction
ALLOWED = 0.15


@dataclass(frozen=True)
class Point:
    """One rate, in the real server and in the simulation, under the same arrivals: seconds."""

    rate: float
    requests: int
    p50: float | None
    p99: float | None
    simulated_p50: float | None
    simulated_p99: float | None


def predict(made: Service, clips: Sequence[Clip], slo: Slo) -> float:
    """Requests a second: the median of searches as the load test's, each with arrivals of its own."""
    full = replica.saturation(made, statistics.mean(clip.seconds for clip in clips))
    rates = []
    for repeat in range(REPEATS):
        seeds = itertools.count(1000 * (repeat + 1))
        found = search(
            lambda rate, seeds=seeds: replica.step(made, clips, slo, rate, next(seeds)),  # type: ignore[misc]
            slo,
            0.6 * full,
            1.1 * full,
            precision=0.02,
            most_steps=2 * STEPS_OF_A_SEARCH,
        )
        rates.append(found.rate)
    return statistics.median(rates)


def light(
    made: Service, clips: Sequence[Clip], target: Target, rate: float, seed: int, warmup: float
) -> Point:
    """One rate well below the capacity for SECONDS, of the target and of the simulated replica."""
    seconds = warmup + SECONDS
    planned = plan(clips, [target], arrivals.times("poisson", rate, seconds, seed), seconds, seed)
    real = drive(planned)
    times, audio = zip(*((shot.time, shot.clip.seconds) for shot in planned.shots), strict=True)
    simulated = replica.replay(made, times, audio, seed)
    return point(rate, *(summary(records, warmup, seconds) for records in (real, simulated)))


def point(rate: float, real: Summary, simulated: Summary) -> Point:
    latencies = (finite(it.percentile(q)) for it in (real, simulated) for q in (0.5, 0.99))
    return Point(round(rate, 3), real.requests, *latencies)


def validate(folder: Path, screen: Console, chosen: Chosen = model_servers.DEFAULT) -> bool:
    """Measures, compares, writes; gives whether the difference is allowed."""
    made, _ = service.read(measure.DEMO, folder)
    slo = slos.parse(SLO)
    warmup = warmup_seconds(slo)
    neighbours, began = Neighbours(), time.monotonic()
    points: list[Point] = []
    with measure.mix() as clips, measure.server(measure.DEMO, screen, chosen) as (_, target, _, _):
        predicted = predict(made, clips, slo)
        screen.print(f"predicted: {predicted:.3g} requests/s at {SLO}")
        for number, share in enumerate(SHARES):
            rate, seed = share * predicted, 200 + number
            add(points, light(made, clips, target, rate, seed, warmup), screen)
        seeds = itertools.count(300)

        def run(rate: float) -> Summary:
            seed = next(seeds)
            real = measure_step(clips, [target], slo, rate, seed)
            add(points, point(rate, real, replica.step(made, clips, slo, rate, seed)), screen)
            return real

        found = search(run, slo, BELOW * predicted, ABOVE * predicted, most_steps=SEARCH_STEPS)
        foreign = neighbours.cores()
    difference = predicted / found.rate - 1
    content = {
        **machine.provenance(),
        "foreign_cores": round(foreign, 3),
        "seconds": round(time.monotonic() - began, 1),
        "model": made.model,
        "slo": SLO,
        "measured_capacity": round(found.rate, 3),
        "surely_within": None if found.low is None else round(found.low, 3),
        "surely_beyond": None if found.high is None else round(found.high, 3),
        "simulated_capacity": round(predicted, 3),
        "difference": round(difference, 4),
        "allowed": ALLOWED,
        "met": abs(difference) <= ALLOWED,
        "points": [vars(it) for it in sorted(points, key=lambda it: it.rate)],
    }
    save_json(content, folder / VALIDATION)
    screen.print(
        f"measured {found.rate:.3g} requests/s, simulated {predicted:.3g}: {100 * difference:+.0f} %, "
        f"{100 * ALLOWED:.0f} % is allowed",
        style="bold" if content["met"] else "bold red",
    )
    return bool(content["met"])


def add(points: list[Point], found: Point, screen: Console) -> None:
    points.append(found)
    shown = ["∞" if it is None else f"{it:.3f}" for it in vars(found).values()][2:]
    screen.print(
        f"{found.rate:7.2f}/s  p50 {shown[0]} s, simulated {shown[2]}  p99 {shown[1]} s, simulated {shown[3]}",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    description = "The simulated replica against the real one."
    parser = command.parser("measure.autoscale.validate", description)
    measure.add_options(parser)
    chosen = parser.parse_args(arguments)
    return measure.guarded(
        lambda screen: int(not validate(measure.folder(chosen), screen, Chosen(chosen.server)))
    )


if __name__ == "__main__":
    sys.exit(main())
