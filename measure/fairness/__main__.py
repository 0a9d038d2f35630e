"""`python -m measure.fairness`: one greedy caller beside others, with a share and without, and the page about it."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from bundle import sources
from bundle.command_line import Parser
from measure import command
from measure.fairness import page
from measure.fairness.callers import CONDITIONS, Callers
from measure.fairness.traffic import Load, Run
from measure.loadtest.clips import cut
from measure.loadtest.phases import by_turns
from measure.loadtest.run import PACKAGES
from measure.machine import provenance
from measure.noise import Neighbours
from serving import model_servers
from serving.gateway import tokens
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.model_servers import Chosen
from serving.temporary import serving

MODEL = "demo"


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m measure.fairness", description="Measure whether a greedy caller is felt by others."
    )
    option = parser.add_argument
    option("--server", choices=model_servers.NAMES, default=model_servers.DEFAULT.name, help="(%(default)s)")
    option("--tokens", type=int, nargs="+", default=[2, 1000], help="in the file, at least two (%(default)s)")
    option(
        "--rounds", type=int, default=24, help="each with a share and with ten times as much (%(default)s)"
    )
    option("--contrasts", type=int, default=2, help="of them, without a limit too (%(default)s)")
    option("--seconds", type=float, default=4.5, help="of a phase (%(default)s)")
    option(
        "--others", type=float, default=30.0, help="requests a second of all others together (%(default)s)"
    )
    option("--clip", type=float, default=1.0, help="seconds of each clip (%(default)s)")
    option("--share", type=float, default=2.0, help="requests a second of the greedy caller's (%(default)s)")
    option("--no-record", action="store_true", help="write neither results nor page")
    options = parser.parse_args(arguments)
    if min(options.tokens) < 2:
        parser.error("--tokens: the greedy caller and at least one other")
    return command.guarded("measure.fairness", lambda: measure(options))


def measure(options: Namespace) -> None:
    screen, neighbours = command.console(), Neighbours()
    with tempfile.TemporaryDirectory(prefix="fairness-") as folder:
        every = [Callers.made(Path(folder) / "tokens", count, options.share) for count in options.tokens]
        every[0].write(limited=True)
        gateway = GatewayOptions(ports.free(1)[0], tokens=tokens.read(every[0].file))
        with serving(
            [sources.resolve(MODEL)], "fairness", screen, Chosen(options.server), gateway
        ) as service:
            clips = cut(Path(folder), options.clip)
            sending = Load(f"{service.gateway.url}/predictions/{MODEL}", clips, options.others)
            within, beyond, unlimited = CONDITIONS
            sending.run(every[0], by_turns(within, beyond, 1, options.seconds))  # to warm up
            runs: list[Run] = []
            order = by_turns(within, beyond, options.rounds, options.seconds, unlimited, options.contrasts)
            for callers in every:
                screen.print(f"fairness: {callers.count} tokens")
                runs += sending.run(callers, order)
    settings = {name: value for name, value in vars(options).items() if name != "no_record"}
    content = {
        "provenance": provenance(*PACKAGES),
        "foreign_cores": neighbours.cores(),
        "settings": settings,
        "runs": [run.row() for run in runs],
    }
    screen.print(page.table(runs).rich())
    if not options.no_record:
        page.record(content)


if __name__ == "__main__":
    sys.exit(main())
