"""Days of traffic against the manifests' rules; the thresholds that it recommends; plots and
docs/results/autoscaling.md:

python -m measure.autoscale.simulate [--profile FILE]     writes measure/autoscale/results/simulation.json and *.png

Driven by the measured full-size model: what is deployed costs what that costs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from measure import command
from measure.autoscale import PROFILE, RESULTS, manifests, plots, replica, report, service, traffic
from measure.autoscale.behaviour import Rules
from measure.autoscale.day import Day, Trial
from measure.autoscale.fleet import BUSY, CPU, CUMULATIVE, QUEUE, Start
from measure.autoscale.hpa import Hpa, Kind, Metric
from measure.autoscale.keda import Activation, ScaledObject
from measure.autoscale.measure import FULL, guarded
from measure.autoscale.sweep import SHARE, Score, best, needed_hours, run_all, score
from measure.loadtest import slo as slos
from measure.machine import now
from measure.results import save_json

SLO = "p99=10s"
SIZES = (1, 10, 100, 1000)  # replicas that the busiest minute needs
SWEEP_SIZE, SEEDS = 30, (0, 1)
BUSY_TARGETS = (0.4, 0.45, 0.5, 0.6, 0.7, 0.8)  # inference seconds a second of a replica
QUEUE_TARGETS = (1.0, 2.0, 4.0, 8.0)  # requests that wait for a replica
PAIRED = (2.0, 4.0)  # of those, beside inference seconds
CPU_TARGETS = (0.5, 0.6, 0.7, 0.8)
NODE_SECONDS = (0.0, 60.0, 180.0)  # until a node has room
# minutes of the day that has no traffic at night; the calendar begins and ends before them
OPENING, CLOSING = 6 * 60 + 30, 22 * 60
SAMPLE = "TorchServe's sample"
TORCHSERVE_TARGET = 7000.0  # µs: targetValue 7000000m of kubernetes/autoscale.md in TorchServe's repository


def candidates(base: Hpa) -> dict[str, Hpa]:
    """Settings that are tried: one signal alone, and inference seconds with a queue's depth beside."""
    busy = [Metric(BUSY, target) for target in BUSY_TARGETS]
    queue = [Metric(QUEUE, target) for target in QUEUE_TARGETS]
    cpu = [Metric(CPU, target, Kind.RESOURCE) for target in CPU_TARGETS]
    pairs = [(a, b) for a in busy for b in queue if b.target in PAIRED]
    tried: list[tuple[Metric, ...]] = [*((it,) for it in (*busy, *queue, *cpu)), *pairs]
    return {
        " + ".join(f"{it.signal} {it.target:g}" for it in metrics): replace(base, metrics=metrics)
        for metrics in tried
    }


def torchserves(base: Hpa) -> Hpa:
    """The sample in TorchServe's repository: a counter that only grows, held to a value."""
    return replace(base, metrics=(Metric(CUMULATIVE, TORCHSERVE_TARGET, Kind.EXTERNAL_VALUE),))


def with_metrics(keda: ScaledObject, hpa: Hpa) -> ScaledObject:
    """The ScaledObject with an HPA's signals and thresholds, as sums over the replicas."""
    metrics = tuple(replace(it, kind=Kind.EXTERNAL_AVERAGE) for it in hpa.metrics)
    activations = tuple(Activation(it.signal, 0.0) for it in metrics)
    return replace(keda, hpa=replace(keda.hpa, metrics=metrics), activations=activations)


def office_hours(profile: traffic.Floats) -> traffic.Floats:
    """The profile with silence at night."""
    minutes = np.arange(len(profile)) * (traffic.DAY_MINUTES / len(profile))
    quiet = np.where((minutes >= OPENING) & (minutes < CLOSING), profile, 0.0)
    relative: traffic.Floats = quiet / quiet.max()
    return relative


def scores(base: Trial, settings: Mapping[str, Hpa], bound: float) -> dict[str, tuple[Score, Day]]:
    """Each setting on every seed; with its first day."""
    trials = [replace(base, rules=rules, seed=seed) for rules in settings.values() for seed in SEEDS]
    days = run_all(trials)
    found = {}
    for place, name in zip(range(0, len(trials), len(SEEDS)), settings, strict=True):
        mine = slice(place, place + len(SEEDS))
        found[name] = (score(name, trials[mine], days[mine], bound), days[place])
    return found


def simulate(
    folder: Path,
    screen: Console,
    profile: traffic.Floats,
    sizes: Sequence[int] = SIZES,
    sweep_size: int = SWEEP_SIZE,
) -> dict[str, Any]:
    """All of it; gives what it wrote.

    Args:
        folder: of the measured replicas, and of what is written.
        profile: relative rates by minute.
        sizes: fleets that are shown.
        sweep_size: the fleet that settings are tried on.
    """
    began = time.monotonic()
    made, _ = service.read(FULL, folder)
    slo = slos.parse(SLO)
    (bound,) = slo.latencies.values()
    capacity = replica.capacity(made, slo).rate
    screen.print(f"{made.model}: one replica meets {SLO} up to {capacity:.2f} requests/s")
    hpa, keda, settings = manifests.hpa(), manifests.scaled_object(), candidates(manifests.hpa())
    start = Start(load=made.startup, probe=manifests.probe_period())
    base = Trial(sweep_size, capacity, hpa, made, profile, start)
    tried = scores(base, {**settings, SAMPLE: torchserves(hpa)}, bound)
    # Always both signals: a worker cannot be busier than all the time, so only the queue shows how far behind it is. On
    # a GPU the processor's use shows nothing, so it is measured and never recommended.
    chosen = best([it for it, _ in tried.values() if it.name.startswith(BUSY) and "+" in it.name])
    screen.print(f"recommended: {chosen.name}: {words(chosen)}")
    recommended = settings[chosen.name]
    base, scaled = replace(base, rules=recommended), with_metrics(keda, recommended)
    to_zero, office = with_metrics(manifests.to_zero(), recommended), office_hours(profile)
    trials = {
        **{f"hpa {size}": replace(base, size=size) for size in sizes},
        **{f"keda {size}": replace(base, size=size, rules=scaled) for size in sizes[:-1]},
        **{f"node {node:g}": replace(base, start=replace(start, node=node)) for node in NODE_SECONDS},
        "least request": replace(base, least_request=True),
        "office hpa": replace(base, profile=office),
        "office to zero": replace(base, rules=to_zero, profile=office),
    }
    days = dict(zip(trials, run_all(list(trials.values())), strict=True))
    content = {
        "date": now(),
        "model": made.model,
        "slo": SLO,
        "bound": bound,
        "share": SHARE,
        "capacity": round(capacity, 3),
        "saturation": round(replica.saturation(made, float(traffic.lengths().mean())), 3),
        "start": vars(start),
        "sweep_size": sweep_size,
        "recommended": {"name": chosen.name, "targets": targets(recommended)},
        "rules": {"up": rules_words(hpa.up), "down": rules_words(hpa.down), "least": hpa.least},
        "scores": [{**vars(found), "good": found.good} for found, _ in tried.values()],
        "days": {name: figures(trials[name], day, bound) for name, day in days.items()},
        "seconds": round(time.monotonic() - began, 1),
    }
    plots.sizes({it: (trials[f"hpa {it}"], days[f"hpa {it}"]) for it in sizes}, bound, folder)
    plots.signals(shown(tried, chosen), base, bound, folder)
    save_json(content, folder / report.SIMULATION)
    for manifest in (hpa, keda.hpa):
        if targets(manifest) != targets(recommended):
            asked = ", ".join(f"{signal} to {target:g}" for signal, target in targets(recommended).items())
            screen.print(f"deploy/kubernetes has other thresholds: set {asked}", style="bold")
            break
    screen.print(f"simulated in {time.monotonic() - began:.0f} s")
    return content


def targets(hpa: Hpa) -> dict[str, float]:
    return {it.signal: it.target for it in hpa.metrics}


def shown(tried: dict[str, tuple[Score, Day]], chosen: Score) -> dict[str, Day]:
    """The recommended day, and the best that each other signal makes of it."""
    found = {chosen.name: tried[chosen.name][1]}
    for signal in (BUSY, QUEUE, CPU):
        alone = [it for it, _ in tried.values() if it.name.startswith(signal) and "+" not in it.name]
        name = best(alone).name
        found[name] = tried[name][1]
    return {**found, SAMPLE: tried[SAMPLE][1]}


def figures(trial: Trial, day: Day, bound: float) -> dict[str, float | int]:
    """One day in a row of a table."""
    return {
        "size": trial.size,
        "requests": day.requests,
        "replica_hours": round(day.replica_hours, 1),
        "needed_hours": round(needed_hours(trial.profile, trial.size), 1),
        "most_replicas": int(day.paid.max()),
        "within": round(day.share_within(bound), 5),
        "refused": int(day.refused.sum()),
        "unserved": int(day.unserved.sum()),
        "deepest_queue": int(day.waiting.max()),
    }


def words(found: Score) -> str:
    return (
        f"{found.cost:.2f} times the replica-hours that foresight needs, p99 within the bound in "
        f"{100 * found.within:.2f} % of the minutes, {found.failed} requests failed"
    )


def rules_words(rules: Rules) -> str:
    """Rules in a line."""
    each = " or ".join(
        f"{it.value}{' %' if it.percent else ' pods'} in {it.period:g} s" for it in rules.policies
    )
    return f"{each} ({rules.select}), stabilised over {rules.stabilization:g} s"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.autoscale.simulate", "Simulate days of traffic.", RESULTS)
    parser.add_argument("--profile", type=Path, default=PROFILE, help="CSV of minute,rate (%(default)s)")
    chosen = parser.parse_args(arguments)

    def work(screen: Console) -> None:
        simulate(chosen.results, screen, traffic.read_profile(chosen.profile))
        if chosen.results == RESULTS and chosen.profile == PROFILE:  # the document is about the shipped day
            report.PAGE.write(report.text(RESULTS))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
