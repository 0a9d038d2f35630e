"""`python -m measure.cancellation`: callers that hang up, beside others who stay, and the part of the page about it."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from bundle import sources
from bundle.command_line import Parser
from measure import command
from measure.cancellation import page
from measure.cancellation.traffic import ALONE, CONDITIONS, Traffic
from measure.loadtest.clips import load
from measure.loadtest.run import PACKAGES
from measure.machine import provenance
from measure.noise import Neighbours
from serving import model_servers
from serving.model_servers import Chosen
from serving.temporary import serving

MODEL = "demo"
CLIPS = Path("models/demo/samples")  # three to four seconds each


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m measure.cancellation", description="Measure what callers cost that hang up."
    )
    option = parser.add_argument
    option("--server", choices=model_servers.NAMES, default=model_servers.DEFAULT.name, help="(%(default)s)")
    option("--rounds", type=int, default=3, help="each with every condition once (%(default)s)")
    option("--seconds", type=float, default=10.0, help="of a run (%(default)s)")
    option("--stayers", type=float, default=5.0, help="requests a second of those who stay (%(default)s)")
    option("--storm", type=int, default=60, help="callers at once who hang up (%(default)s)")
    option("--every", type=float, default=3.0, help="seconds from one time to the next (%(default)s)")
    option("--patience", type=float, default=0.05, help="seconds after which they do (%(default)s)")
    option("--no-record", action="store_true", help="write neither results nor page")
    options = parser.parse_args(arguments)
    return command.guarded("measure.cancellation", lambda: measure(options))


def measure(options: Namespace) -> None:
    screen, neighbours = command.console(), Neighbours()
    with serving([sources.resolve(MODEL)], "cancellation", screen, Chosen(options.server)) as service:
        sending = Traffic(
            service,
            MODEL,
            load(CLIPS),
            options.stayers,
            options.storm,
            options.every,
            options.patience,
            options.seconds,
        )
        sending.run(ALONE, 0)  # to warm up
        runs = [
            sending.run(condition, number)
            for number in range(1, options.rounds + 1)
            for condition in CONDITIONS
        ]
    content = {
        "provenance": provenance(*PACKAGES),
        "foreign_cores": neighbours.cores(),
        "settings": {name: value for name, value in vars(options).items() if name != "no_record"},
        "runs": [run.row() for run in runs],
    }
    screen.print(page.table(runs).rich())
    if not options.no_record:
        page.record(content)


if __name__ == "__main__":
    sys.exit(main())
