"""What serving costs beside the encoder: gateway, model server, worker and decoders.

    python -m measure.bench.overhead [--requests wav,mp3] [--connections 1,16,64] [--rounds 3] [--seconds 4] [--full]
    python -m measure.bench.overhead --start [--model demo] [--starts 3]
    python -m measure.bench.overhead --memory 16
    python -m measure.bench.overhead --capacity --against COMMIT

Each prints what it found and, with --results, writes it into overhead.json there and, where that is the committed
folder, into docs/results/overhead.md. `--against` measures another version of this repository too, a commit or a
folder, in turn with this one, so that a ratio compares neighbours in time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import ROOT, command, machine
from measure.bench import RESULTS
from measure.bench.null_server import MODEL, built
from measure.bench.overhead import capacity, cost, page, shared, start
from measure.bench.overhead.asking import questions
from measure.bench.overhead.checkout import Checkout, checkouts, shown
from measure.command import Say
from measure.noise import Neighbours, check_quiet
from serving import model_servers

ROUNDS, SECONDS, STARTS = 3, 4.0, 3
CONNECTIONS = (1, 16, 64)


def measure_cost(chosen: argparse.Namespace, versions: Sequence[Checkout], say: Say) -> dict[str, Any]:
    asked = {name: it for name, it in questions().items() if name in chosen.requests}
    plan = cost.Plan(asked, chosen.connections, chosen.rounds, chosen.seconds)
    return {"rows": cost.run(plan, versions, chosen.full, chosen.server, say), "encoder": chosen.full}


def measure_start(chosen: argparse.Namespace, versions: Sequence[Checkout], say: Say) -> dict[str, Any]:
    starts = [
        start.Starts(it.name, it.path, built(it.path, f"start-{it.name}", chosen.model, it.path / "handler"))
        for it in versions
    ]
    for number in range(chosen.starts):
        for each in starts if number % 2 else starts[::-1]:
            start.measure(each, Path(chosen.model).name, chosen.server)
        say(f"start {number + 1} of {chosen.starts}")
    return {"rows": start.summary(starts), "model": chosen.model}


def measure_memory(chosen: argparse.Namespace, _: Sequence[Checkout], say: Say) -> dict[str, Any]:
    say(f"{chosen.memory} workers")
    store = built(ROOT, "memory", chosen.model, ROOT / "handler")
    (archive,) = store.glob("*.mar")
    return {"workers": chosen.memory, "model": chosen.model, "MB": shared.measure(archive, chosen.memory)}


def measure_capacity(chosen: argparse.Namespace, versions: Sequence[Checkout], say: Say) -> dict[str, Any]:
    return capacity.run(versions, chosen.server, chosen.rounds, say)


def run(chosen: argparse.Namespace, say: Say) -> None:
    check_quiet(say)
    neighbours = Neighbours()
    part, measure = next(
        found
        for asked, found in (
            (chosen.start, ("start", measure_start)),
            (chosen.memory, ("memory", measure_memory)),
            (chosen.capacity, ("capacity", measure_capacity)),
            (True, ("cost", measure_cost)),
        )
        if asked
    )
    if part == "start" and Path(chosen.model).name != MODEL:
        part = "start, full size"
    if part == "cost" and chosen.full:
        part = "cost, with the demo's encoder"
    elif part == "cost" and chosen.against:
        part = "cost, against another checkout"
    with checkouts(chosen.against) as versions:
        found = measure(chosen, versions, say) | machine.provenance() | {"server": chosen.server}
    found["against"] = shown(chosen.against)
    found["foreign_cores"] = neighbours.cores()
    say("\n" + page.part(part, found))
    if chosen.results:
        everything = page.read(chosen.results) | {part: found}
        page.PAGE.record(everything, page.text, chosen.results / page.FILE, RESULTS / page.FILE)


def numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.overhead", "Measure what serving costs beside the encoder.")
    option = parser.add_argument
    option("--start", action="store_true", help="seconds until ready, until a worker is replaced; memory")
    option("--memory", type=int, default=0, metavar="WORKERS", help="what so many workers share")
    option("--capacity", action="store_true", help="requests a second of the demo at p99=2s")
    option("--against", default="", help="another version of this repository: a commit, or a folder")
    option("--server", choices=model_servers.NAMES, default=model_servers.NAMES[0], help="(%(default)s)")
    option("--model", default=MODEL, help="as MODEL= of make serve, for --start and --memory (%(default)s)")
    option("--starts", type=int, default=STARTS, help="(%(default)s)")
    option("--requests", type=command.names, default=list(questions()), help="(%(default)s)")
    option("--connections", type=numbers, default=list(CONNECTIONS), help="callers at once (%(default)s)")
    option("--rounds", type=int, default=ROUNDS, help="(%(default)s)")
    option(
        "--seconds", type=float, default=SECONDS, help="of each kind of request in each round (%(default)s)"
    )
    option("--full", action="store_true", help="with the demo's encoder")
    option("--results", type=Path, help=f"folder to write to; with {RESULTS} the document too")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.requests) - set(questions()):
        parser.error(f"{', '.join(sorted(unknown))}: none of {', '.join(questions())}")
    return command.guarded("measure.bench.overhead", lambda: run(chosen, command.progress()))


if __name__ == "__main__":
    sys.exit(main())
