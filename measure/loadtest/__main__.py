"""python -m measure.loadtest run | capacity | check | overload: exit codes 0 held, 1 it did not, 2 no result."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from bundle import BundleError
from measure.loadtest import LoadTestError, find, options, server, slo, terminal
from measure.loadtest import clips as clip_files
from measure.loadtest.overload import overload
from measure.loadtest.run import prepare, run
from measure.loadtest.target import Target
from serving.signals import SIGNALS

COMMANDS = {"run": run, "capacity": find.capacity, "check": find.check, "overload": overload}


def main(arguments: list[str] | None = None) -> int:
    args = options.parser().parse_args(arguments)
    screen = terminal.console()
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        if args.slo:
            slo.parse(args.slo)
        with tempfile.TemporaryDirectory(prefix="loadtest-") as mix:
            folder = Path(args.clips) if args.clips else None
            clips = clip_files.load(folder) if folder else clip_files.default_mix(Path(mix), args.seed)
            if args.command == "run":
                prepare(
                    args, clips, [Target("")]
                )  # what cannot be planned is said before a server is started
            with server.endpoint(args, screen, clips) as endpoint:
                return COMMANDS[args.command](args, clips, endpoint, screen)
    except (LoadTestError, BundleError) as exc:
        print(f"loadtest: {exc}", file=sys.stderr)
        return 2
    except OSError as exc:
        print(f"loadtest: {exc.strerror or exc}: {exc.filename or args.out}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("loadtest: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
