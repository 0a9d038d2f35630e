"""Measures the encoders, appends to results/*.csv and draws results/*.png:

python -m measure.bench.encoder [--rounds 3] [--clips 48] [--only hf-one,packed-bf16] [--quick]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from bundle.archive import prepare
from bundle.command_line import Parser
from bundle.sources import resolve
from measure import command, machine, workload
from measure.bench import BUILD, RESULTS, engines, peak, plots, results
from measure.bench.contest import EncoderContest, WorkPlan
from measure.bench.engines import HF_ONE, LATENCIES, PACKED_BF16, PACKED_FP32
from measure.command import Say
from measure.noise import check_quiet
from measure.results import append

CLIPS, ROUNDS, SEED = 48, 3, 0
ROUND_SIZE = 16  # clips: two batches of eight
GROWTH = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)  # s
GROWTH_ENGINES = (HF_ONE, PACKED_FP32, PACKED_BF16)
QUICK_GROWTH = (1.0, 5.0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m measure.bench.encoder", description="Measure the encoders.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=CLIPS, help="default: %(default)s")
    only = f"of {','.join(engines.NAMES)}; hf-one always runs"
    parser.add_argument("--only", type=command.names, default=engines.NAMES, help=only)
    command.add_processor_option(parser.add_argument)
    command.add_run_options(parser, quick="3 clips, one round")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.only) - set(engines.NAMES):
        parser.error(f"--only {','.join(sorted(unknown))}: not one of {','.join(engines.NAMES)}")
    return command.guarded("bench", lambda: run(chosen, command.progress()))


def run(chosen: argparse.Namespace, say: Say) -> None:
    command.hold(chosen.processor)
    began = machine.provenance()
    cores = began["machine"]["cores"]
    check_quiet(say)
    folder = prepare(resolve(command.model(chosen, say)))
    config = json.loads((folder / "config.json").read_text())
    rate = json.loads((folder / "preprocessor_config.json").read_text())["sampling_rate"]
    count, rounds = (3, 1) if chosen.quick else (chosen.clips, chosen.rounds)
    plan, work = planned(count, rounds, rate, QUICK_GROWTH if chosen.quick else GROWTH)
    say("measuring the machine's large matrix products")
    before = peak.measure(cores)
    contestants = engines.QUICK if chosen.quick else engines.CONTESTANTS
    possible = engines.able(contestants, before, bool(machine.restrictions()))
    if left := [str(it) for it in contestants if it not in possible]:
        say(f"not on this processor: {', '.join(left)}")
    entrants = engines.choose(possible, chosen.only)
    with EncoderContest(plan, folder, say) as contest:
        contest.enter(entrants)
        contest.play()
        growing = [engines.Contestant(it, engines.ONE_BY_TWO, "glibc") for it in GROWTH_ENGINES]
        contest.grow([it for it in entrants if it in growing])
    after = before if chosen.quick else peak.measure(cores)
    say(f"{contest.foreign_cores:.2f} cores were busy with anything else while an engine ran")
    everybody = set(chosen.only) == set(engines.NAMES) and all(it.engine.peer for it in contest.absent)
    whole = everybody and count >= CLIPS and rounds >= ROUNDS
    shared = command.shared(chosen, began, work, whole) | {"foreign_cores": round(contest.foreign_cores, 3)}
    peaks = {precision: max(before[precision], after[precision]) for precision in before}
    target = command.folder(chosen, RESULTS, BUILD)
    rows, growth = results.rows(contest, config, peaks, shared), results.growth_rows(contest, shared)
    append(target / results.ENCODER_FILE, rows)
    append(target / results.GROWTH_FILE, growth)
    append(target / results.ABSENT_FILE, results.absent_rows(contest, shared))
    if not machine.restrictions():  # the plots show a processor as it is
        plots.draw(target, rows, growth)
    say(command.written(target, shared))


def planned(count: int, rounds: int, rate: int, growth: Sequence[float]) -> tuple[WorkPlan, str]:
    """The work, and a line that describes it."""
    speakers = workload.voices(rate)
    seconds = workload.durations(count, SEED)
    waveforms = workload.work(speakers, list(seconds), rate, SEED)
    dealt = workload.slices([len(it) for it in waveforms], ROUND_SIZE, SEED)
    plan = WorkPlan(
        clips=waveforms,
        rounds=[dealt[number % len(dealt)] for number in range(rounds)],
        probes=dict(zip(LATENCIES, workload.work(speakers, LATENCIES, rate, SEED + 1), strict=True)),
        growth=dict(zip(growth, workload.work(speakers, growth, rate, SEED + 2), strict=True)),
        sampling_rate=rate,
    )
    work = (
        f"{count} clips of {seconds.min():.1f} to {seconds.max():.1f} s, mean {seconds.mean():.1f} s, "
        f"seed {SEED}, {len(dealt[0])} a round"
    )
    return plan, work


if __name__ == "__main__":
    sys.exit(main())
