"""python -m measure.autoscale [--no-measure]: measure, validate, simulate, report.

Exit codes: 0 done and the validation met, 1 it was missed, 2 no result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bundle.command_line import Parser
from measure.autoscale import RESULTS, measure, report, simulate, traffic, validate


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="make autoscale", description="Autoscaling, simulated from what one replica was measured to do."
    )
    committed = "simulate with the committed measurements (4 minutes, not 12)"
    parser.add_argument("--no-measure", action="store_true", help=committed)
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args(arguments)

    def work(screen: Console) -> int:
        met = True
        if not chosen.no_measure:
            measure.run(measure.MODELS, chosen.results, screen)
            met = validate.validate(chosen.results, screen)
        simulate.simulate(chosen.results, screen, traffic.read_profile())
        report.PAGE.write(report.text(chosen.results))
        screen.print(f"{report.PAGE.path} has the tables and plots")
        return int(not met)

    return measure.guarded(work)


if __name__ == "__main__":
    sys.exit(main())
