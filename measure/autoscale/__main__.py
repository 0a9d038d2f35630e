"""python -m measure.autoscale [--no-measure]: measure, validate, simulate, report.

Exit codes: 0 done and the validation met, 1 it was missed, 2 no result."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console

from bundle.command_line import Parser
from measure.autoscale import RESULTS, measure, report, simulate, traffic, validate
from serving.model_servers import Chosen


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="make autoscale", description="Autoscaling, simulated from what one replica was measured to do."
    )
    committed = "simulate with the committed measurements (4 minutes, not 12)"
    parser.add_argument("--no-measure", action="store_true", help=committed)
    measure.add_options(parser)
    chosen = parser.parse_args(arguments)
    folder, server = measure.folder(chosen), Chosen(chosen.server)

    def work(screen: Console) -> int:
        met = True
        if not chosen.no_measure:
            measure.run(measure.MODELS, folder, screen, server)
            met = validate.validate(folder, screen, server)
        simulate.simulate(folder, screen, traffic.read_profile())
        if folder == RESULTS:
            report.PAGE.write(report.text(folder))
            screen.print(f"{report.PAGE.path} has the tables and plots")
        else:
            screen.print(f"{folder} has the results")
        return int(not met)

    return measure.guarded(work)


if __name__ == "__main__":
    sys.exit(main())
