"""What serving costs beside the encoder: gateway, model server, worker and decoders.

    python -m measure.bench.overhead [--requests wav,mp3] [--connections 1,16,64] [--rounds 3] [--seconds 4] [--full]
    python -m measure.bench.overhead --start [--model demo] [--starts 3]
    python -m measure.bench.overhead --memory 16

Each prints what it found and, with --results, writes it into overhead.json there and, where that is the committed
folder, into docs/results/overhead.md. `--against CHECKOUT` measures another checkout of this repository too, in turn
with this one, so that a ratio compares neighbours in time.
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
from measure.bench.overhead import cost, page, shared, start
from measure.bench.overhead.asking import questions
from measure.command import Say
from measure.noise import Neighbours, check_quiet
from measure.results import save_json
from serving import model_servers

ROUNDS, SECONDS, STARTS = 3, 4.0, 3
CONNECTIONS = (1, 16, 64)


def measure_cost(chosen: argparse.Namespace, say: Say) -> dict[str, Any]:
    asked = {name: it for name, it in questions().items() if name in chosen.requests}
    servers = [cost.Checkout("this", ROOT)]
    if chosen.against:
        servers.append(cost.Checkout("other", chosen.against.resolve()))
    plan = cost.Plan(asked, chosen.connections, chosen.rounds, chosen.seconds)
    return {"rows": cost.run(plan, servers, chosen.full, chosen.server, say), "encoder": chosen.full}


def measure_start(chosen: argparse.Namespace, say: Say) -> dict[str, Any]:
    checkouts = {"this": ROOT} | ({"other": chosen.against.resolve()} if chosen.against else {})
    starts = [
        start.Starts(name, checkout, built(checkout, f"start-{name}", chosen.model, checkout / "handler"))
        for name, checkout in checkouts.items()
    ]
    for number in range(chosen.starts):
        for each in starts if number % 2 else starts[::-1]:
            start.measure(each, Path(chosen.model).name, chosen.server)
        say(f"start {number + 1} of {chosen.starts}")
    return {"rows": start.summary(starts), "model": chosen.model}


def measure_memory(chosen: argparse.Namespace, say: Say) -> dict[str, Any]:
    say(f"{chosen.memory} workers")
    store = built(ROOT, "memory", chosen.model, ROOT / "handler")
    (archive,) = store.glob("*.mar")
    return {"workers": chosen.memory, "model": chosen.model, "MB": shared.measure(archive, chosen.memory)}


def run(chosen: argparse.Namespace, say: Say) -> None:
    check_quiet(say)
    neighbours = Neighbours()
    part, measure = next(
        found
        for asked, found in (
            (chosen.start, ("start", measure_start)),
            (chosen.memory, ("memory", measure_memory)),
            (True, ("cost", measure_cost)),
        )
        if asked
    )
    if part == "start" and Path(chosen.model).name != MODEL:
        part = "start, full size"
    if part == "cost" and chosen.against:
        part = "cost, against another checkout"
    found = measure(chosen, say) | machine.provenance() | {"server": chosen.server}
    found["foreign_cores"] = neighbours.cores()
    say("\n" + page.part(part, found))
    if chosen.results:
        everything = page.read(chosen.results) | {part: found}
        save_json(everything, chosen.results / page.FILE)
        if chosen.results.resolve() == RESULTS:
            page.PAGE.write(page.text(everything))


def numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.overhead", "Measure what serving costs beside the encoder.")
    option = parser.add_argument
    option("--start", action="store_true", help="seconds until ready, until a worker is replaced; memory")
    option("--memory", type=int, default=0, metavar="WORKERS", help="what so many workers share")
    option("--against", type=Path, help="another checkout of this repository")
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
