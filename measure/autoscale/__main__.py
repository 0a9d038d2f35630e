"""python -m measure.autoscale [--no-measure]: measure, validate, simulate, report.

Exit codes: 0 done and the validation met,
1 it was missed, 2 no result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bundle.command_line import Parser
from measure.autoscale import RESULTS, measure, report, simulate, validate


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="make autoscale", description="Autoscaling, simulated from what one replica was measured to do."
    )
    parser.add_argument(
        "--no-measure",
        action="store_true",
        help="simulate with the committed measurements (4 minutes, not 12)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args(arguments)
    met: list[bool] = []

    def work(screen: Console) -> None:
        if not chosen.no_measure:
            measure.run(measure.MODELS, chosen.results, screen)
            met.append(validate.validate(chosen.results, screen)["met"])
        simulate.simulate(chosen.results, screen)
        report.write(chosen.results)
        screen.print(f"{report.DOCUMENT} has the tables and plots", highlight=False)

    return measure.guarded(work) or int(False in met)


if __name__ == "__main__":
    sys.exit(main())
