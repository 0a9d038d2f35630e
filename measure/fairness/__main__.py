"""`python -m measure.fairness`: one greedy caller beside others, with a share and without, and the page about it."""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from rich.console import Console

from measure.fairness.callers import CONDITIONS, Callers
from measure.fairness.page import COMPARISON
from measure.fairness.traffic import FairnessRun, Load
from measure.loadtest.clips import cut
from measure.loadtest.comparison import MODEL, Content
from measure.loadtest.phases import by_turns
from serving.gateway import tokens
from serving.gateway.options import GatewayOptions
from serving.host import ports

QUICK = {"tokens": [2], "rounds": 1, "contrasts": 1, "seconds": 3.0}


def main(arguments: list[str] | None = None) -> int:
    parser = COMPARISON.parser(
        "Measure whether a greedy caller is felt by others.",
        rounds=(24, "each with a share and with ten times as much"),
        seconds=(4.5, "of a phase"),
    )
    option = parser.add_argument
    option("--tokens", type=at_least_two, nargs="+", default=[2, 1000], help="in the file (%(default)s)")
    option("--contrasts", type=int, default=2, help="rounds without a limit too (%(default)s)")
    option(
        "--others", type=float, default=30.0, help="requests a second of all others together (%(default)s)"
    )
    option("--clip", type=float, default=1.0, help="seconds of each clip (%(default)s)")
    option("--share", type=float, default=2.0, help="requests a second of the greedy caller's (%(default)s)")
    return COMPARISON.main(parser, arguments, QUICK, measure)


def at_least_two(text: str) -> int:
    if (count := int(text)) < 2:
        raise ArgumentTypeError("at least 2: the greedy caller's and another's")
    return count


def measure(options: Namespace, screen: Console) -> Content:
    within, beyond, unlimited = CONDITIONS
    order = by_turns(within, beyond, options.rounds, options.seconds, unlimited, options.contrasts)
    runs: list[FairnessRun] = []
    with tempfile.TemporaryDirectory(prefix="fairness-") as folder:
        every = [Callers.made(Path(folder) / "tokens", count, options.share) for count in options.tokens]
        every[0].write(limited=True)
        gateway = GatewayOptions(ports.free(1)[0], tokens=tokens.read(every[0].file))
        with COMPARISON.service(options, screen, gateway) as service:
            clips = cut(Path(folder), options.clip)
            sending = Load(f"{service.gateway.url}/predictions/{MODEL}", clips, options.others)
            sending.run(every[0], by_turns(within, beyond, 1, options.seconds))  # to warm up
            for callers in every:
                screen.print(f"fairness: {callers.count} tokens")
                runs += sending.run(callers, order)
    return {"runs": [run.row() for run in runs]}


if __name__ == "__main__":
    sys.exit(main())
