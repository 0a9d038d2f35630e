"""`python -m measure.order`: single clips beside long work, with the splitter and without it, and the page about it."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from measure.loadtest.comparison import MODEL, Content
from measure.order.cost import Cost, costs
from measure.order.page import COMPARISON
from measure.order.sounds import Sounds
from measure.order.traffic import CONDITIONS, RECORDING, SPLIT, WHOLE, WINDOWS, Bulk, OrderRun, run
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.service import gateway_of

WARM_UP_SECONDS = 2.0  # of a run of the first round
QUICK = {"rounds": 1, "seconds": 3.0, "recording": 120.0}


def main(arguments: list[str] | None = None) -> int:
    parser = COMPARISON.parser(
        "Measure whether single clips keep their turn beside long work.",
        rounds=(6, "each with every condition once"),
        seconds=(20.0, "of a run"),
    )
    option = parser.add_argument
    option("--model", default=MODEL, help="a name under models/, or a checkpoint's folder (%(default)s)")
    option("--rate", type=float, default=4.0, help="single clips a second (%(default)s)")
    option("--callers", type=int, default=2, help="of requests of 64 clips, at a time (%(default)s)")
    option(
        "--recording",
        type=float,
        default=3600.0,
        help="seconds of the recording; 0 for none, and no costs (%(default)s)",
    )
    return COMPARISON.main(parser, arguments, QUICK, measure)


def measure(options: Namespace, screen: Console) -> Content:
    runs: list[OrderRun] = []
    found: list[Cost] = []
    with (
        tempfile.TemporaryDirectory(prefix="order-") as folder,
        COMPARISON.service(options, screen, model=options.model) as service,
        # a second gateway in front of the same server, so that both ways are measured in turn
        gateway_of(service.specs, service.server, GatewayOptions(ports.free(1)[0], split=False)) as whole,
    ):
        whole.start()
        sounds = Sounds.write(Path(folder), options.recording)
        conditions = CONDITIONS if options.recording else [each for each in CONDITIONS if each != RECORDING]
        path = f"/predictions/{service.specs[0].name}"
        split_at, whole_at = service.gateway.url + path, whole.url + path
        for number in range(options.rounds + 1):  # the first of them warms up
            seconds = options.seconds if number else min(options.seconds, WARM_UP_SECONDS)
            for condition in conditions:
                bulk = {
                    WHOLE: Bulk(whole_at, sounds.many, {}, options.callers),
                    SPLIT: Bulk(split_at, sounds.many, {}, options.callers),
                    RECORDING: Bulk(split_at, sounds.recording, WINDOWS, 1),
                }.get(condition)
                url = whole_at if condition == WHOLE else split_at
                runs.append(run(condition, number, url, sounds.clips, options.rate, seconds, bulk))
                screen.print(f"round {number}: beside {condition}")
            if options.recording:
                found += costs(service, split_at, sounds, number, options.seconds)
                screen.print(f"round {number}: cost and memory")
    return {
        "runs": [each.row() for each in runs if each.round],
        "costs": [each.row() for each in found if each.round],
    }


if __name__ == "__main__":
    sys.exit(main())
