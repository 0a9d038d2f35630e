"""python -m measure.chaos: every fault, one after the other. Exit codes: 0 all held, 1 not, 2 no result."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bundle import BundleError
from bundle.command_line import Parser
from bundle.samples import samples
from measure import command
from measure.chaos import archives, processes, report
from measure.chaos.archives import DEMO, FAULTY
from measure.chaos.callers import disconnect, fuzz, hang_up_at_once, hostile_clips
from measure.chaos.endurance import endure
from measure.chaos.load import EVERY_LABEL, KnownClip
from measure.chaos.scene import SHORT, Fault, FaultRow, Size, play
from measure.chaos.server import Server, serving
from measure.chaos.sharing import bulk, greedy, kill_splitter, recording
from measure.chaos.storage import corrupt_archive, full_disk
from measure.chaos.verdict import scores
from measure.results import save_json
from serving import model_servers
from serving.model_servers import Chosen

FAULTS = (
    Fault("kill-worker", FAULTY, processes.kill_worker),
    Fault("hang", FAULTY, processes.hang),
    Fault("hang-always", FAULTY, processes.hang_always, unnoticed=False, quick=False),
    Fault("out-of-memory", FAULTY, processes.out_of_memory),
    Fault("out-of-memory-always", FAULTY, processes.out_of_memory_always, unnoticed=False),
    Fault("corrupt-archive", DEMO, corrupt_archive),
    Fault("full-disk", DEMO, full_disk),
    Fault("disconnect", DEMO, disconnect),
    Fault("disconnect-storm", DEMO, hang_up_at_once),
    Fault("fuzz", DEMO, fuzz),
    Fault("hostile-clips", DEMO, hostile_clips),
    Fault("kill-decoder", DEMO, processes.kill_decoder),
    Fault("kill-fork-server", DEMO, processes.kill_fork_server),
    Fault("greedy", DEMO, greedy),
    Fault("bulk", DEMO, bulk),
    Fault("kill-splitter", DEMO, kill_splitter),
    Fault("recording", DEMO, recording, quick=False),
    Fault("endurance", DEMO, endure, rate=2.0),
    # last: it ends the server that the others share
    Fault("kill-server", DEMO, processes.kill_server, unnoticed=False),
)
NAMES = [fault.name for fault in FAULTS]


def undisturbed(server: Server) -> list[KnownClip]:
    """The demo's samples with the answers that they get alone, before any fault; each names its speaker.

    Raises:
        BundleError: one does not, so that nothing could be held against these answers.
    """
    sender, clips = server.sender(), []
    for sample in samples():
        content = sample.path.read_bytes()
        found = {
            model: scores(sender.post(f"/predictions/{model}", content, EVERY_LABEL).body)
            for model in (DEMO, FAULTY)
        }
        expected = found[DEMO]
        if not expected or next(iter(expected)) != sample.speaker or found[FAULTY] != expected:
            raise BundleError(f"before any fault {sample.path.name} is not answered rightly: {found}")
        clips.append(KnownClip(sample.path.name, content, expected))
    return clips


def chaos(faults: Sequence[Fault], size: Size, args: argparse.Namespace, console: Console) -> int:
    """The whole run; the exit code."""
    rows: list[FaultRow] = []
    with serving(archives.build(), archives.STORE, Chosen(args.server), console) as server:
        software = server.service.server.upstream.software
        clips = undisturbed(server)
        for fault in faults:
            with console.status(fault.name):
                row = play(fault, server, clips, size, args.seed, args.out)
            rows.append(row)
            console.print(report.line(row), style="bold red" if row.broken else None, highlight=False)
    asked = {"minutes": size.minutes, "bodies": size.bodies, "seed": args.seed, "short": args.short}
    file = save_json(report.content(rows, asked, software), args.out / report.RUN.name)
    console.print(
        report.table(rows).rich("Faults under load", ["bold red" * bool(row.broken) for row in rows])
    )
    for row in rows:
        for broken in row.broken:
            console.print(f"{row.fault}: {broken}", style="bold red", markup=False)
    held = not any(row.broken for row in rows)
    outcome = "every expectation held" if held else "expectations failed"
    console.print(f"{outcome}; {file} has the details")
    return 0 if held else 1


def choose(names: str) -> list[Fault]:
    """Raises ValueError: a name that is none."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := sorted(set(wanted) - set(NAMES)):
        raise ValueError(f"--only {', '.join(unknown)}: known are {', '.join(NAMES)}")
    return [fault for fault in FAULTS if fault.name in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="make chaos", description="Faults against a real server under load.")
    option = parser.add_argument
    option("--short", action="store_true", help="the form of the test suite: about a minute")
    option("--minutes", type=float, help=f"of 80 %% load ({Size().minutes:g})")
    option("--only", default="", help=f"of {','.join(NAMES)}")
    option("--server", choices=model_servers.NAMES, default=model_servers.DEFAULT.name, help="(%(default)s)")
    option("--seed", type=int, default=0, help="of arrivals and bodies (%(default)s)")
    option("--out", type=Path, default=report.RUN.parent, help="folder of chaos.json (%(default)s)")
    args = parser.parse_args(arguments)
    size = SHORT if args.short else Size()
    if args.minutes is not None:
        if not 0 < args.minutes <= 24 * 60:
            parser.error(f"--minutes {args.minutes:g}: more than 0, and a day at most")
        size = replace(size, minutes=args.minutes)
    try:
        faults = choose(
            args.only or ",".join(fault.name for fault in FAULTS if fault.quick or not args.short)
        )
    except ValueError as exc:
        parser.error(str(exc))
    return command.guarded("chaos", lambda: chaos(faults, size, args, command.console()), failed=2)


if __name__ == "__main__":
    sys.exit(main())
