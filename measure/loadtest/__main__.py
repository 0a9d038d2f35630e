"""python -m measure.loadtest run | capacity | check | overload: exit codes 0 SLO met, 1 not met, 2 no result."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measure import command
from measure.loadtest import clips as clip_files
from measure.loadtest import find, options, server, slo
from measure.loadtest.overload import overload
from measure.loadtest.run import prepare, run
from measure.loadtest.target import Target

COMMANDS = {"run": run, "capacity": find.capacity, "check": find.check, "overload": overload}


def main(arguments: list[str] | None = None) -> int:
    args = options.parser().parse_args(arguments)
    screen = command.console()

    def work() -> int:
        if args.slo:
            slo.parse(args.slo)
        with tempfile.TemporaryDirectory(prefix="loadtest-") as mix:
            folder = Path(args.clips) if args.clips else None
            clips = clip_files.load(folder) if folder else clip_files.default_mix(Path(mix), args.seed)
            if args.command == "run":
                prepare(
                    args, clips, [Target("")]
                )  # what cannot be planned is refused before a server is started
            with server.endpoint(args, screen, clips) as endpoint:
                return COMMANDS[args.command](args, clips, endpoint, screen)

    return command.guarded("loadtest", work, failed=2)


if __name__ == "__main__":
    sys.exit(main())
