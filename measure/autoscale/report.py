"""What was measured and simulated → the tables between the markers of docs/results/autoscaling.md, and the plots that
the committed figures are enough for:

python -m measure.autoscale.report
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import noise
from measure.autoscale import RESULTS, plots, service
from measure.autoscale.fleet import BUSY, QUEUE
from measure.autoscale.measure import DEMO, FULL, MODELS
from measure.autoscale.service import Service
from measure.autoscale.sweep import Score
from measure.document import Columns, Page, Table, join, known
from measure.machine import Machine
from measure.results import load_json

PAGE = Page.of("autoscaling", "measure.autoscale.report")
SIMULATION, VALIDATION = "simulation.json", "validation.json"
UNITS = {QUEUE: "waiting requests", BUSY: "inference seconds a second"}
CONDITIONS = {
    "node 0": "a node takes 0 s",
    "node 60": "a node takes 60 s",
    "node 180": "a node takes 180 s",
    "least request": "each request to the emptier of two random replicas (Envoy's LEAST_REQUEST)",
    "office hpa": "no traffic at night, HPA",
    "office to zero": "no traffic at night, KEDA to zero with the calendar of `keda-to-zero`",
}


def report(folder: Path) -> str:
    """The Markdown of everything.

    Raises:
        MeasureError: a part of it has not been measured or simulated.
    """
    simulation, validation = (load_json(folder / name, "make autoscale") for name in (SIMULATION, VALIDATION))
    return join(
        recommended(simulation),
        table_of_sizes(simulation),
        PAGE.image("Replicas, queue and p99 of fleets of every size", RESULTS / plots.SIZES_FILE),
        "### Which signal, and which threshold",
        table_of_scores(simulation),
        PAGE.image("Cost and broken minutes of every setting", RESULTS / plots.THRESHOLDS_FILE),
        PAGE.image("One day as each signal scales it", RESULTS / plots.SIGNALS_FILE),
        "### What else decides",
        table_of_conditions(simulation),
        "### Measured service times",
        services(folder),
        "### The simulated replica against the real one",
        points(validation),
        PAGE.image("Latency against rate, measured and simulated", RESULTS / plots.VALIDATION_FILE),
    )


def recommended(found: Mapping[str, Any]) -> str:
    targets, start, rules = found["recommended"]["targets"], found["start"], found["rules"]
    asked = " and ".join(f"{target:g} {UNITS[signal]} a replica" for signal, target in targets.items())
    return (
        f"**Recommended: {asked}**: of all settings of both signals the least replica-hours with p99 ≤ "
        f"{found['bound']:g} s in {100 * found['share']:g} % of the minutes and no request refused. "
        f"{found['date']}; one replica is `{found['model']}` on two cores and meets {found['slo']} up to "
        f"{found['capacity']:.2f} requests a second, {100 * found['capacity'] / found['saturation']:.0f} % of what it "
        f"answers when its queue never empties. A new one serves after {start['node']:g} s for a node, "
        f"{start['image']:g} s for the image (assumed), {start['load']:.1f} s to load (measured) and up to "
        f"{start['probe']:g} s until the probe asks. Scale-up: {rules['up']}. Scale-down: {rules['down']}. At least "
        f"{rules['least']} replicas."
    )


def table_of_sizes(found: Mapping[str, Any]) -> Table:
    fleets = {name: day for name, day in found["days"].items() if re.fullmatch(r"(hpa|keda) \d+", name)}
    columns: Columns[Any] = [
        ("fleet", lambda it: "{}, peak of {}".format(*it["name"].upper().split())),
        ("requests", lambda it: f"{it['requests']:,}"),
        ("replica-hours", lambda it: f"{it['replica_hours']:,.0f}"),
        ("× foresight", lambda it: f"{it['replica_hours'] / it['needed_hours']:.2f}"),
        ("× constant", lambda it: f"{it['replica_hours'] / (24 * it['size']):.2f}"),
        ("most replicas", lambda it: f"{it['most_replicas']:,}"),
        (f"minutes with p99 ≤ {found['bound']:g} s", lambda it: percent(it["within"])),
        ("refused", lambda it: f"{it['refused'] + it['unserved']:,}"),
        ("deepest queue, all replicas", lambda it: f"{it['deepest_queue']:,}"),
    ]
    return Table.of(({"name": name, **day} for name, day in fleets.items()), columns)


def table_of_scores(found: Mapping[str, Any]) -> Table:
    mark = {found["recommended"]["name"]: "**"}
    columns: Columns[Any] = [
        (
            f"setting, peak of {found['sweep_size']} replicas",
            lambda it: it["name"].join([mark.get(it["name"], "")] * 2),
        ),
        ("× foresight", lambda it: f"{it['cost']:.2f}"),
        ("minutes within, worst day", lambda it: percent(it["within"])),
        ("refused", lambda it: f"{it['failed']:,}"),
        ("meets the SLO", lambda it: "yes" if it["good"] else "no"),
    ]
    return Table.of(sorted(found["scores"], key=lambda it: (not it["good"], it["cost"])), columns, "lrrrl")


def table_of_conditions(found: Mapping[str, Any]) -> Table:
    days = found["days"]
    columns: Columns[Any] = [
        (f"peak of {found['sweep_size']} replicas, recommended thresholds", lambda name: CONDITIONS[name]),
        ("replica-hours", lambda name: f"{days[name]['replica_hours']:.0f}"),
        ("minutes within", lambda name: percent(days[name]["within"])),
        ("refused by a full queue", lambda name: f"{days[name]['refused']:,}"),
        ("no replica there", lambda name: f"{days[name]['unserved']:,}"),
    ]
    return Table.of((name for name in days if name in CONDITIONS), columns)


def services(folder: Path) -> str:
    found = [service.read(model, folder) for model in MODELS]
    foreign = max(provenance["foreign_cores"] for _, provenance in found)
    where = found[MODELS.index(DEMO)][1]
    columns: Columns[Service] = [
        ("model", lambda it: it.model),
        ("a batch, ms", lambda it: f"{1e3 * it.fixed:.1f}"),
        ("+ a request, ms", lambda it: f"{1e3 * it.per_request:.1f}"),
        ("+ a second of audio, ms", lambda it: f"{1e3 * it.per_second:.2f}"),
        ("on the way, ms", lambda it: f"{1e3 * it.overhead:.1f}"),
        ("half of the batches within", lambda it: f"{percent(it.error)} of {it.batches}"),
        ("start-up, s", lambda it: f"{it.startup:.1f}"),
        ("cores when busy", lambda it: f"{it.cpu:.2f} of {it.cores}"),
    ]
    return join(
        f"{Machine(**where['machine']).words()}; {where['date']}. {noise.words(foreign, 'up to ')} `{DEMO}` is what "
        f"the simulation is validated with, `{FULL}` (the demo widened to wav2vec2-base's shape) what it simulates.",
        Table.of((made for made, _ in found), columns),
    )


def points(found: Mapping[str, Any]) -> str:
    columns: Columns[Any] = [
        ("requests/s", lambda it: f"{it['rate']:.1f}"),
        ("requests", lambda it: it["requests"]),
        ("p50 measured", lambda it: known(it["p50"], "{:.3f} s", "∞")),
        ("simulated", lambda it: known(it["simulated_p50"], "{:.3f} s", "∞")),
        ("p99 measured", lambda it: known(it["p99"], "{:.3f} s", "∞")),
        ("simulated", lambda it: known(it["simulated_p99"], "{:.3f} s", "∞")),
    ]
    return join(
        f"Capacity of one replica of `{found['model']}` at {found['slo']}: measured "
        f"{found['measured_capacity']:.1f} requests/s, simulated {found['simulated_capacity']:.1f}: "
        f"{100 * found['difference']:+.1f} %, {100 * found['allowed']:.0f} % is allowed: "
        f"{'met' if found['met'] else '**missed**'}. {found['date']}. {noise.words(found['foreign_cores'])}",
        Table.of(found["points"], columns, "r"),
    )


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def text(folder: Path) -> str:
    """Draws what the recorded figures are enough for; gives the Markdown."""
    simulation = load_json(folder / SIMULATION, "make autoscale")
    plots.validation(load_json(folder / VALIDATION, "make autoscale"), folder)
    scores = [Score(it["name"], it["cost"], it["within"], it["failed"]) for it in simulation["scores"]]
    (chosen,) = (it for it in scores if it.name == simulation["recommended"]["name"])
    plots.thresholds(scores, chosen, folder)
    return report(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(text, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
