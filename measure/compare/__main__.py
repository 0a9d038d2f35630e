"""Measures ours against the peers, appends to results/*.csv and draws results/compare.png:

python -m measure.compare [--minutes 30] [--rounds 3] [--slo 10] [--step 30] [--only ours-fp32,…] [--quick]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from bundle import BundleError
from bundle.archive import prepare
from bundle.command_line import Parser
from bundle.sources import resolve
from measure import machine
from measure import workload as voxceleb
from measure.compare import BUILD, RESULTS, contenders, entry, environments, plots, results, work
from measure.compare.contenders import Contender
from measure.compare.contest import Contest
from measure.compare.steps import Load
from measure.full_size import model
from measure.loadtest import LoadTestError
from measure.machine import QUIET
from measure.results import append
from serving.signals import SIGNALS

MINUTES, SLO, STEP = 30.0, 10.0, 30.0
CLIPS, ROUND_SIZE, ROUNDS = 48, 16, 3  # two batches of eight a round, and every clip once
QUICK_CLIPS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m measure.compare", description="Measure ours against what people would run instead."
    )
    option = parser.add_argument
    option(
        "--minutes", type=float, default=MINUTES, help="time box of the measurement (default: %(default)g)"
    )
    option("--slo", type=float, default=SLO, help="bound of the 99th percentile, s (default: %(default)g)")
    option("--step", type=float, default=STEP, help="seconds of one rate (default: %(default)g)")
    option("--rounds", type=int, default=ROUNDS, help="of bursts, 1 to 3 (default: %(default)s)")
    option("--only", type=lambda text: text.split(","), help=f"of {','.join(contenders.NAMES)}")
    option("--model", help="as MODEL= of make serve; default: the demo model widened to full size")
    option("--quick", action="store_true", help="try the harness: demo model, eight clips, one round")
    option("--results", type=Path, help="default: measure/compare/results, for --quick build/compare/quick")
    chosen = parser.parse_args(arguments)
    if min(chosen.minutes, chosen.slo, chosen.step) <= 0:
        parser.error("--minutes, --slo and --step must be more than 0")
    if not 1 <= chosen.rounds <= ROUNDS:
        parser.error(f"--rounds {chosen.rounds}: 1 to {ROUNDS}")
    try:
        entrants = contenders.choose(chosen.only)
    except ValueError as exc:
        parser.error(str(exc))
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)  # so that what runs is ended
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - started:5.0f} s  {text}", markup=False)

    try:
        run(chosen, entrants, say)
    except (BundleError, LoadTestError) as exc:
        print(f"compare: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("compare: interrupted", file=sys.stderr)
        return 130
    return 0


def run(chosen: argparse.Namespace, entrants: list[Contender], say: Callable[[str], None]) -> None:
    here = machine.describe()
    date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = resolve(model(chosen, say))
    checkpoint = prepare(spec)
    clips = work.clips(BUILD / "clips", QUICK_CLIPS if chosen.quick else CLIPS)
    say(f"{work.describe(clips)}; each alone, by Hugging Face's model")
    reference = work.alone(checkpoint, clips)
    peers = sorted({it.peer for it in entrants if it.peer} & set(environments.names()))
    say(f"environments: {', '.join(peers) or 'none needed'}")
    environments.build(peers, say)
    if (load := os.getloadavg()[0]) > QUIET * here.cores:
        say(f"load average {load:.1f}: the machine is not quiet, the numbers will be worth little")
    dealt = voxceleb.slices([round(1000 * clip.seconds) for clip in clips], ROUND_SIZE, work.SEED)
    contest = Contest(
        entrants,
        lambda contender: entry.server(contender, spec, checkpoint, BUILD / "run" / contender.name),
        Load(clips, reference, chosen.slo, chosen.step),
        [[clips[index] for index in indices] for indices in dealt[: chosen.rounds]],
        chosen.minutes,
        say,
    )
    try:
        contest.run()
    finally:  # also of a run that is interrupted: what it measured has cost its time
        if contest.measured:
            write(contest, chosen, here, date, work.describe(clips))
            say(
                "not a complete run, so no report will quote it" if not whole(contest, chosen) else "complete"
            )


def whole(contest: Contest, chosen: argparse.Namespace) -> bool:
    return not chosen.quick and contest.decided()


def write(
    contest: Contest, chosen: argparse.Namespace, here: machine.Machine, date: str, described: str
) -> None:
    present = {it.peer for it in contest.measured if it.peer} & set(environments.names())
    shared = results.Run(
        date=date,
        complete=whole(contest, chosen),
        model=chosen.model or ("demo" if chosen.quick else "demo widened to wav2vec2-base's shape"),
        clips=described,
        machine=here,
        software={it: environments.versions(it, environments.python(it)) for it in sorted(present)}
        | {"torchserve": environments.own("torchserve")},
    )
    folder = chosen.results or (BUILD / "quick" if chosen.quick else RESULTS)
    rows, steps = results.rows(contest, shared), results.step_rows(contest, shared)
    append(folder / results.CONTENDERS_FILE, rows)
    append(folder / results.STEPS_FILE, steps)
    plots.draw(folder, rows, steps)
    contest.say(f"wrote {folder}")


if __name__ == "__main__":
    sys.exit(main())
