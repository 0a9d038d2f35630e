"""Measures ours against the peers, appends to results/*.csv and draws results/compare.png:

python -m measure.compare [--minutes 30] [--rounds 3] [--slo 10] [--step 30] [--only ours-fp32,…] [--quick]

With --server triton the two model servers alone, and what a user of Triton would set up, in a quarter of an hour:
results/triton/.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bundle.archive import prepare
from bundle.command_line import Parser
from bundle.sources import resolve
from measure import command, machine, workload
from measure.command import Say
from measure.compare import BUILD, RESULTS, contenders, entry, environments, plots, results, work
from measure.compare.contenders import TRITON, Contender
from measure.compare.contest import SHARES, ServerContest
from measure.compare.steps import RateLoad
from measure.noise import check_quiet
from measure.results import append

MINUTES, SLO, STEP = 30.0, 10.0, 30.0
CLIPS, ROUND_SIZE, ROUNDS = 48, 16, 3  # two batches of eight a round, and every clip once
# of the model servers beside each other: minutes, seconds of a rate, rounds, shares of our capacity
SHORT_MINUTES, SHORT_STEP, SHORT_ROUNDS, SHORT_SHARES = 12.0, 15.0, 1, (0.5,)
QUICK_CLIPS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m measure.compare", description="Measure ours against what people would run instead."
    )
    option = parser.add_argument
    option("--server", choices=(TRITON,), help="TorchServe, Triton and Triton's peers alone, in a short run")
    boxed = f"time box of the measurement (default: {MINUTES:g}, with --server {SHORT_MINUTES:g})"
    option("--minutes", type=float, help=boxed)
    option("--slo", type=float, default=SLO, help="bound of the 99th percentile, s (default: %(default)g)")
    option("--step", type=float, help=f"seconds of one rate (default: {STEP:g}, {SHORT_STEP:g})")
    option("--rounds", type=int, help=f"of bursts, 1 to {ROUNDS} (default: {ROUNDS}, {SHORT_ROUNDS})")
    option("--only", type=command.names, help=f"of {','.join(contenders.NAMES)}")
    command.add_run_options(parser, quick="eight clips, one round")
    short = {
        "minutes": SHORT_MINUTES,
        "step": SHORT_STEP,
        "rounds": SHORT_ROUNDS,
        "only": contenders.OF_TRITON,
    }
    whole = {"minutes": MINUTES, "step": STEP, "rounds": ROUNDS, "only": contenders.NAMES}
    chosen = parser.parse_args(arguments)
    for name, value in (short if chosen.server else whole).items():
        setattr(chosen, name, getattr(chosen, name) if getattr(chosen, name) is not None else value)
    if min(chosen.minutes, chosen.slo, chosen.step) <= 0:
        parser.error("--minutes, --slo and --step must be more than 0")
    if not 1 <= chosen.rounds <= ROUNDS:
        parser.error(f"--rounds {chosen.rounds}: 1 to {ROUNDS}")
    try:
        entrants = contenders.choose(chosen.only)
    except ValueError as exc:
        parser.error(str(exc))
    return command.guarded("compare", lambda: run(chosen, entrants, command.progress()))


def run(chosen: argparse.Namespace, entrants: list[Contender], say: Say) -> None:
    began = machine.provenance()
    spec = resolve(command.model(chosen, say))
    checkpoint = prepare(spec)
    clips = work.clips(BUILD / "clips", work.lengths(QUICK_CLIPS if chosen.quick else CLIPS))
    say(f"{work.describe(clips)}; each alone, by Hugging Face's model")
    reference = work.alone(checkpoint, clips)
    peers = sorted({it.peer for it in entrants if it.peer} & set(environments.names()))
    say(f"environments: {', '.join(peers) or 'none needed'}")
    environments.build(peers, say)
    check_quiet(say)
    dealt = workload.slices([round(1000 * clip.seconds) for clip in clips], ROUND_SIZE, work.SEED)
    contest = ServerContest(
        entrants,
        lambda contender: entry.server(contender, spec, checkpoint, BUILD / "run" / contender.name),
        RateLoad(clips, reference, chosen.slo, chosen.step),
        [[clips[index] for index in indices] for indices in dealt[: chosen.rounds]],
        chosen.minutes,
        say,
        SHORT_SHARES if chosen.server else SHARES,
    )
    try:
        contest.run()
    finally:  # also of a run that is interrupted: what it measured has cost its time
        if contest.measured:
            needed = contenders.OF_TRITON if chosen.server else contenders.DECIDING
            shared = command.shared(chosen, began, work.describe(clips), contest.decided(needed))
            present = sorted({it.peer for it in contest.measured if it.peer} & set(environments.names()))
            software = {it: environments.versions(it, environments.python(it)) for it in present}
            software["torchserve"] = f"torchserve {machine.installed('torchserve')}"
            software[TRITON] = f"tritonserver {entry.triton_version()}"
            folder = command.folder(chosen, RESULTS / (chosen.server or ""), BUILD)
            rows, steps = results.rows(contest, software, shared), results.step_rows(contest, began["date"])
            append(folder / results.CONTENDERS_FILE, rows)
            append(folder / results.STEPS_FILE, steps)
            plots.draw(folder, rows, steps)
            say(command.written(folder, shared))


if __name__ == "__main__":
    sys.exit(main())
