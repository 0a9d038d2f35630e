"""Days of traffic against the manifests' rules; the thresholds that it recommends; plots and
docs/results/autoscaling.md:

python -m measure.autoscale.simulate [--profile FILE]     writes measure/autoscale/results/simulation.json and *.png

Driven by the measured full-size model: what is deployed costs what that costs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from measure.autoscale import PROFILE, RESULTS, manifests, plots, replica, report, service, traffic
from measure.autoscale.behaviour import Rules
from measure.autoscale.day import Day
from measure.autoscale.fleet import BUSY, CPU, CUMULATIVE, QUEUE, Start
from measure.autoscale.hpa import Hpa, Kind, Metric
from measure.autoscale.keda import Activation, ScaledObject
from measure.autoscale.measure import FULL, guarded
from measure.autoscale.sweep import SHARE, Score, Trial, best, needed_hours, run_all, score
from measure.loadtest import slo

PROMISE = "p99=10s"
SIZES = (1, 10, 100, 1000)  # replicas that the busiest minute needs
SWEEP_SIZE, SEEDS = 30, (0, 1)
BUSY_TARGETS = (0.4, 0.45, 0.5, 0.6, 0.7, 0.8)  # inference seconds a second of a replica
QUEUE_TARGETS = (1.0, 2.0, 4.0, 8.0)  # requests that wait for a replica
PAIRED = (2.0, 4.0)  # of those, beside inference seconds
CPU_TARGETS = (0.5, 0.6, 0.7, 0.8)
NODE_SECONDS = (0.0, 60.0, 180.0)  # until a node has room
OPENING, CLOSING = (
    6 * 60 + 30,
    22 * 60,
)  # minutes of the day that has no traffic at night; the calendar ends before it
TORCHSERVE_TARGET = 7000.0  # µs: targetValue 7000000m of kubernetes/autoscale.md in TorchServe's repository
FILE = "simulation.json"


class Bench:
    """The trials' common part.

    Args:
        folder: of the measured replicas.
        profile: relative rates by minute.
        sizes: fleets that are shown.
        sweep_size: the fleet that settings are tried on.
    """

    def __init__(self, folder: Path, profile: traffic.Floats, sizes: Sequence[int], sweep_size: int) -> None:
        self.service, _ = service.read(FULL, folder)
        self.slo = slo.parse(PROMISE)
        self.bound = next(iter(self.slo.latencies.values()))
        self.profile, self.sizes, self.sweep_size = profile, sizes, sweep_size
        self.capacity = replica.capacity(self.service, self.slo).rate
        self.start = Start(load=self.service.startup, probe=manifests.probe_period())
        self.hpa, self.keda, self.to_zero = manifests.hpa(), manifests.scaled_object(), manifests.to_zero()

    def trial(self, name: str, rules: Hpa | ScaledObject, size: int, seed: int = 0, **more: Any) -> Trial:
        given = {"profile": self.profile, "start": self.start, **more}
        return Trial(name, size, self.capacity, rules, self.service, seed=seed, **given)

    def scores(self, settings: dict[str, Hpa | ScaledObject]) -> dict[str, tuple[Score, Day]]:
        """Each setting on every seed; with its first day."""
        trials = {
            name: [self.trial(name, rules, self.sweep_size, seed) for seed in SEEDS]
            for name, rules in settings.items()
        }
        days = iter(run_all([trial for group in trials.values() for trial in group]))
        found = {}
        for name, group in trials.items():
            theirs = [next(days) for _ in group]
            found[name] = (score(name, group, theirs, self.bound), theirs[0])
        return found


def candidates(base: Hpa) -> dict[str, Hpa]:
    """Settings that are tried: one signal alone, and inference seconds with a queue's depth beside."""
    busy = [Metric(BUSY, target) for target in BUSY_TARGETS]
    queue = [Metric(QUEUE, target) for target in QUEUE_TARGETS]
    cpu = [Metric(CPU, target, Kind.RESOURCE) for target in CPU_TARGETS]
    made = {f"busy {it.target:g}": (it,) for it in busy}
    made |= {f"queue {it.target:g}": (it,) for it in queue}
    made |= {f"cpu {it.target:g}": (it,) for it in cpu}
    pairs = {
        f"busy {a.target:g} + queue {b.target:g}": (a, b) for a in busy for b in queue if b.target in PAIRED
    }
    return {name: replace(base, metrics=metrics) for name, metrics in {**made, **pairs}.items()}


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


def simulate(
    folder: Path,
    screen: Console,
    profile: traffic.Floats | None = None,
    sizes: Sequence[int] = SIZES,
    sweep_size: int = SWEEP_SIZE,
) -> dict[str, Any]:
    """All of it, for the shipped profile if none is given; gives what it wrote."""
    began = time.monotonic()
    bench = Bench(folder, traffic.read_profile() if profile is None else profile, sizes, sweep_size)
    screen.print(
        f"{bench.service.model}: one replica holds {PROMISE} up to {bench.capacity:.2f} requests/s",
        highlight=False,
    )
    tried = bench.scores({**candidates(bench.hpa), "TorchServe's sample": torchserves(bench.hpa)})
    # Both signals, always: a worker cannot be busier than all the time, so that only the queue tells how far behind it
    # is. On a GPU the processor tells nothing, so its use is shown and never recommended.
    chosen = best([it for it, _ in tried.values() if it.name.startswith(BUSY) and "+" in it.name])
    recommended = candidates(bench.hpa)[chosen.name]
    keda = with_metrics(bench.keda, recommended)
    screen.print(f"recommended: {chosen.name}: {words(chosen)}", highlight=False)
    trials = {
        **{f"hpa {size}": bench.trial("hpa", recommended, size) for size in bench.sizes},
        **{f"keda {size}": bench.trial("keda", keda, size) for size in bench.sizes[:-1]},
        **{
            f"node {node:g}": bench.trial(
                "node", recommended, bench.sweep_size, start=replace(bench.start, node=node)
            )
            for node in NODE_SECONDS
        },
        "least request": bench.trial("least request", recommended, bench.sweep_size, least_request=True),
        **{
            f"office {name}": bench.trial(name, rules, bench.sweep_size, profile=office_hours(bench.profile))
            for name, rules in (
                ("hpa", recommended),
                ("to zero", with_metrics(bench.to_zero, recommended)),
            )
        },
    }
    days = dict(zip(trials, run_all(list(trials.values())), strict=True))
    content = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "model": bench.service.model,
        "promise": PROMISE,
        "bound": bench.bound,
        "share": SHARE,
        "capacity": round(bench.capacity, 3),
        "saturation": round(replica.saturation(bench.service, float(traffic.lengths().mean())), 3),
        "start": asdict(bench.start),
        "sweep_size": bench.sweep_size,
        "recommended": {"name": chosen.name, "targets": {it.signal: it.target for it in recommended.metrics}},
        "rules": {
            "up": rules_words(bench.hpa.up),
            "down": rules_words(bench.hpa.down),
            "least": bench.hpa.least,
        },
        "scores": [{**asdict(found), "good": found.good} for found, _ in tried.values()],
        "days": {name: figures(trials[name], day, bench.bound) for name, day in days.items()},
        "seconds": round(time.monotonic() - began, 1),
    }
    shown_sizes = {size: (trials[f"hpa {size}"], days[f"hpa {size}"]) for size in bench.sizes}
    plots.sizes(shown_sizes, bench.bound, folder)
    plots.signals(shown(tried, chosen), bench.trial("", recommended, bench.sweep_size), bench.bound, folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    if asked := recommended_otherwise(bench.hpa, recommended) or recommended_otherwise(
        bench.keda.hpa, keda.hpa
    ):
        screen.print(f"deploy/kubernetes has other thresholds: set {asked}", style="bold", highlight=False)
    screen.print(f"simulated in {time.monotonic() - began:.0f} s", highlight=False)
    return content


def recommended_otherwise(manifest: Hpa, recommended: Hpa) -> str:
    """What to set in the manifests; empty if they have it."""
    targets = {it.signal: it.target for it in recommended.metrics}
    if {it.signal: it.target for it in manifest.metrics} == targets:
        return ""
    return ", ".join(f"{signal} to {target:g}" for signal, target in targets.items())


def shown(tried: dict[str, tuple[Score, Day]], chosen: Score) -> dict[str, Day]:
    """The recommended day, and the best that each other signal makes of it."""
    found = {chosen.name: tried[chosen.name][1]}
    for signal in (BUSY, QUEUE, CPU):
        alone = [it for it, _ in tried.values() if it.name.startswith(signal) and "+" not in it.name]
        name = best(alone).name
        found[name] = tried[name][1]
    found["TorchServe's sample"] = tried["TorchServe's sample"][1]
    return found


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
    parser = argparse.ArgumentParser(
        prog="python -m measure.autoscale.simulate", description="Simulate days of traffic."
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--profile", type=Path, default=PROFILE, help="CSV with the columns minute,rate (%(default)s)"
    )
    chosen = parser.parse_args(arguments)

    def work(screen: Console) -> None:
        simulate(chosen.results, screen, traffic.read_profile(chosen.profile))
        if chosen.results == RESULTS and chosen.profile == PROFILE:  # the document is about the shipped day
            report.write()

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
