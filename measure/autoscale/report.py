"""What was measured and simulated → the tables between the markers of docs/results/autoscaling.md:

python -m measure.autoscale.report
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import ROOT
from measure.autoscale import RESULTS, AutoscaleError, plots, service
from measure.autoscale.fleet import BUSY, QUEUE
from measure.autoscale.measure import DEMO, FULL, MODELS
from measure.autoscale.sweep import Score
from measure.document import insert

DOCUMENT = ROOT / "docs" / "results" / "autoscaling.md"
COMMAND = "measure.autoscale.report"  # as the markers name it
SIMULATION, VALIDATION = "simulation.json", "validation.json"
IMAGES = "../../measure/autoscale/results"


def report(folder: Path) -> str:
    """The Markdown of everything.

    Raises:
        AutoscaleError: a part of it has not been measured or simulated.
    """
    simulation, validation = load(folder / SIMULATION), load(folder / VALIDATION)
    parts = [
        *recommended(simulation),
        "",
        *table_of_sizes(simulation),
        "",
        f"![Replicas, queue and p99 of fleets of every size]({IMAGES}/{plots.SIZES_FILE})",
        "",
        "### Which signal, and which threshold",
        "",
        *table_of_scores(simulation),
        "",
        f"![Cost and broken minutes of every setting]({IMAGES}/{plots.THRESHOLDS_FILE})",
        "",
        f"![One day as each signal scales it]({IMAGES}/{plots.SIGNALS_FILE})",
        "",
        "### What else decides",
        "",
        *table_of_conditions(simulation),
        "",
        "### Measured service times",
        "",
        *table_of_services(folder),
        "",
        "### The simulated replica against the real one",
        "",
        *table_of_points(validation),
        "",
        f"![Latency against rate, measured and simulated]({IMAGES}/{plots.VALIDATION_FILE})",
    ]
    return "\n".join(parts)


def load(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise AutoscaleError(f"there is no {path}: run `make autoscale` first") from None
    return content


def recommended(found: Mapping[str, Any]) -> list[str]:
    units = {QUEUE: "waiting requests", BUSY: "inference seconds a second"}
    targets = found["recommended"]["targets"]
    asked = " and ".join(f"{target:g} {units[signal]} a replica" for signal, target in targets.items())
    start = found["start"]
    return [
        f"**Recommended: {asked}**: of all settings of both signals the least replica-hours with p99 ≤ "
        f"{found['bound']:g} s in {100 * found['share']:g} % of the minutes and no request refused. "
        f"{found['date']}; one replica is `{found['model']}` on two cores and holds {found['promise']} up to "
        f"{found['capacity']:.2f} requests a second, {100 * found['capacity'] / found['saturation']:.0f} % of what it "
        f"answers when its queue never empties. A new one serves after {start['node']:g} s for a node, "
        f"{start['image']:g} s for the image (assumed), {start['load']:.1f} s to load (measured) and up to "
        f"{start['probe']:g} s until the probe asks. Scale-up: {found['rules']['up']}. Scale-down: "
        f"{found['rules']['down']}. At least {found['rules']['least']} replicas.",
    ]


def table_of_sizes(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"| fleet | requests | replica-hours | × foresight | × constant | most replicas | minutes with p99 ≤ "
        f"{found['bound']:g} s | refused | deepest queue, all replicas |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, day in found["days"].items():
        kind, _, size = name.partition(" ")
        if kind in ("hpa", "keda") and size.isdecimal():
            lines.append(
                f"| {kind.upper()}, peak of {size} | {day['requests']:,} | {day['replica_hours']:,.0f} "
                f"| {day['replica_hours'] / day['needed_hours']:.2f} | {day['replica_hours'] / (24 * day['size']):.2f} "
                f"| {day['most_replicas']:,} | {percent(day['within'])} | {day['refused'] + day['unserved']:,} "
                f"| {day['deepest_queue']:,} |"
            )
    return lines


def table_of_scores(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"| setting, peak of {found['sweep_size']} replicas | × foresight | minutes within, worst day "
        "| refused | keeps the promise |",
        "|---|---:|---:|---:|---|",
    ]
    for it in sorted(found["scores"], key=lambda it: (not it["good"], it["cost"])):
        mark = "**" if it["name"] == found["recommended"]["name"] else ""
        lines.append(
            f"| {mark}{it['name']}{mark} | {it['cost']:.2f} | {percent(it['within'])} | {it['failed']:,} "
            f"| {'yes' if it['good'] else 'no'} |"
        )
    return lines


def table_of_conditions(found: Mapping[str, Any]) -> list[str]:
    names = {
        "least request": "each request to the emptier of two random replicas (Envoy's LEAST_REQUEST)",
        "office hpa": "no traffic at night, HPA",
        "office to zero": "no traffic at night, KEDA to zero with the calendar of `keda-to-zero`",
    }
    lines = [
        f"| peak of {found['sweep_size']} replicas, recommended thresholds | replica-hours | minutes within "
        "| refused by a full queue | no replica there |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, day in found["days"].items():
        kind, _, rest = name.partition(" ")
        title = f"a node takes {rest} s" if kind == "node" else names.get(name)
        if title:
            lines.append(
                f"| {title} | {day['replica_hours']:.0f} | {percent(day['within'])} | {day['refused']:,} "
                f"| {day['unserved']:,} |"
            )
    return lines


def table_of_services(folder: Path) -> list[str]:
    lines = [
        "| model | a batch, ms | + a request, ms | + a second of audio, ms | on the way, ms "
        "| half of the batches within | start-up, s | cores when busy |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model in MODELS:
        made, _ = service.read(model, folder)
        lines.append(
            f"| {model} | {1e3 * made.fixed:.1f} | {1e3 * made.per_request:.1f} | {1e3 * made.per_second:.2f} "
            f"| {1e3 * made.overhead:.1f} | {percent(made.error)} of {made.batches} "
            f"| {made.startup:.1f} | {made.cpu:.2f} of {made.cores} |"
        )
    provenance = {model: service.read(model, folder)[1] for model in MODELS}
    where = provenance[DEMO]
    here = where["machine"]
    state = f"commit {here['commit']}" + (" with changes on top" if here["dirty"] else "")
    foreign = max(found["foreign_cores"] for found in provenance.values())
    return [
        f"{here['cpu']}, {here['cores']} cores; {here['versions']}; {state}; {where['date']}. Other programs and the "
        f"host kept up to {foreign:.2f} cores busy meanwhile. `{DEMO}` is what the simulation is validated with, "
        f"`{FULL}` (the demo widened to wav2vec2-base's shape) what it simulates.",
        "",
        *lines,
    ]


def table_of_points(found: Mapping[str, Any]) -> list[str]:
    verdict = "met" if found["met"] else "**missed**"
    lines = [
        f"Capacity of one replica of `{found['model']}` at {found['promise']}: measured "
        f"{found['measured_capacity']:.1f} requests/s, simulated {found['simulated_capacity']:.1f}: "
        f"{100 * found['difference']:+.1f} %, {100 * found['allowed']:.0f} % is allowed: {verdict}. {found['date']}; "
        f"other programs and the host kept {found['foreign_cores']:.2f} cores busy meanwhile.",
        "",
        "| requests/s | requests | p50 measured | simulated | p99 measured | simulated |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for it in found["points"]:
        times = (it["p50"], it["simulated_p50"], it["p99"], it["simulated_p99"])
        cells = " | ".join("∞" if value is None else f"{value:.3f} s" for value in times)
        lines.append(f"| {it['rate']:.1f} | {it['requests']} | {cells} |")
    return lines


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def write(folder: Path = RESULTS, document: Path = DOCUMENT) -> None:
    """Draws what the committed figures are enough for, and rewrites the document."""
    plots.validation(load(folder / VALIDATION), folder)
    simulation = load(folder / SIMULATION)
    scores = {
        it["name"]: Score(it["name"], it["cost"], it["within"], it["failed"]) for it in simulation["scores"]
    }
    plots.thresholds(list(scores.values()), scores[simulation["recommended"]["name"]], folder)
    text = document.read_text("utf-8")
    document.write_text(insert(text, report(folder), COMMAND), "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.autoscale.report", description="Write docs/results/autoscaling.md's tables."
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    chosen = parser.parse_args(arguments)
    try:
        write(chosen.results, chosen.document)
    except AutoscaleError as exc:
        print(f"autoscale: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
