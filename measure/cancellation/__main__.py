"""`python -m measure.cancellation`: callers that hang up, beside others who stay, and the part of the page about it."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from measure.cancellation.page import COMPARISON
from measure.cancellation.traffic import ALONE, CONDITIONS, Traffic
from measure.loadtest.clips import load
from measure.loadtest.comparison import MODEL, Content

CLIPS = Path("models/demo/samples")  # three to four seconds each
QUICK = {"rounds": 1, "seconds": 3.0}


def main(arguments: list[str] | None = None) -> int:
    parser = COMPARISON.parser(
        "Measure what callers cost that hang up.",
        rounds=(3, "each with every condition once"),
        seconds=(10.0, "of a run"),
    )
    option = parser.add_argument
    option("--stayers", type=float, default=5.0, help="requests a second of those who stay (%(default)s)")
    option("--storm", type=int, default=60, help="callers at once who hang up (%(default)s)")
    option("--every", type=float, default=3.0, help="seconds from one time to the next (%(default)s)")
    option("--patience", type=float, default=0.05, help="seconds after which they do (%(default)s)")
    return COMPARISON.main(parser, arguments, QUICK, measure)


def measure(options: Namespace, screen: Console) -> Content:
    with COMPARISON.service(options, screen) as service:
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
    return {"runs": [run.row() for run in runs]}


if __name__ == "__main__":
    sys.exit(main())
