"""`python -m measure.order`: single clips beside long work, with the splitter and without it, and the page about it."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from bundle import sources
from bundle.command_line import Parser
from measure import command
from measure.loadtest.run import PACKAGES
from measure.machine import provenance
from measure.noise import Neighbours
from measure.order import page
from measure.order.cost import Cost, costs
from measure.order.sounds import Sounds
from measure.order.traffic import WINDOWS, Bulk, Run, run
from serving import model_servers
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.model_servers import Chosen
from serving.service import gateway_of
from serving.temporary import serving

CLIPS = Path("models/demo/samples")
QUICK = {"rounds": 1, "seconds": 4.0, "recording": 120.0}


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m measure.order",
        description="Measure whether single clips keep their turn beside long work.",
    )
    option = parser.add_argument
    option("--server", choices=model_servers.NAMES, default=model_servers.DEFAULT.name, help="(%(default)s)")
    option("--model", default="demo", help="a name under models/, or a checkpoint's folder (%(default)s)")
    option("--rounds", type=int, default=6, help="each with every condition once (%(default)s)")
    option("--seconds", type=float, default=20.0, help="of a run (%(default)s)")
    option("--rate", type=float, default=4.0, help="single clips a second (%(default)s)")
    option("--callers", type=int, default=2, help="of requests of 64 clips, at a time (%(default)s)")
    option("--recording", type=float, default=3600.0, help="seconds of the recording (%(default)s)")
    option(
        "--quick", action="store_true", help="one short round, which shows that it runs; nothing is written"
    )
    option("--no-record", action="store_true", help="write neither results nor page")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(QUICK)
    return command.guarded("measure.order", lambda: measure(options))


def measure(options: Namespace) -> None:
    screen, neighbours = command.console(), Neighbours()
    spec = sources.resolve(options.model)
    runs: list[Run] = []
    found: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="order-") as folder:
        sounds = Sounds.write(CLIPS, Path(folder), options.recording)
        gateway = GatewayOptions(ports.free(1)[0])
        with serving([spec], "order", screen, Chosen(options.server), gateway) as service:
            # a second gateway in front of the same server, so that both ways are measured in turn
            without = GatewayOptions(ports.free(1)[0], split=False)
            with gateway_of(service.specs, service.server, without) as whole:
                whole.start()
                path = f"/predictions/{spec.name}"
                split_at, whole_at = service.gateway.url + path, whole.url + path
                for number in range(options.rounds + 1):  # the first of them warms up
                    for condition in page.CONDITIONS:
                        bulk = {
                            page.WHOLE: Bulk(whole_at, sounds.many, {}, options.callers),
                            page.SPLIT: Bulk(split_at, sounds.many, {}, options.callers),
                            page.RECORDING: Bulk(split_at, sounds.recording, WINDOWS, 1),
                        }.get(condition)
                        seconds = options.seconds if number else min(options.seconds, 2.0)
                        url = whole_at if condition == page.WHOLE else split_at
                        done = run(condition, number, url, sounds.clips, options.rate, seconds, bulk)
                        if number or options.quick:
                            runs.append(done)
                        screen.print(f"round {number}: beside {condition}")
                    for cost in costs(service, split_at, sounds, number, options.seconds):
                        if number or options.quick:
                            found.append(cost)
                    screen.print(f"round {number}: cost and memory")
                    if options.quick:
                        break
    shown = ("no_record", "quick")
    content: dict[str, Any] = {
        "provenance": provenance(*PACKAGES),
        "foreign_cores": neighbours.cores(),
        "settings": {name: value for name, value in vars(options).items() if name not in shown},
        "runs": [each.row() for each in runs],
        "costs": [each.row() for each in found],
    }
    screen.print(page.table(runs).rich())
    screen.print(page.cost_table(content["costs"]).rich())
    if not (options.no_record or options.quick):
        page.record(content)


if __name__ == "__main__":
    sys.exit(main())
