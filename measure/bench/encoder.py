"""Measures the encoders, appends to results/*.csv and draws results/*.png:

python -m measure.bench.encoder [--rounds 3] [--clips 48] [--only hf-one,packed-bf16] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from bundle import BundleError
from bundle.archive import prepare
from bundle.command_line import Parser
from bundle.sources import resolve
from measure import machine, workload
from measure.bench import BUILD, RESULTS, engines, peak, plots, summary
from measure.bench.contest import Contest, Plan
from measure.bench.peers import Unavailable
from measure.full_size import Say, model
from measure.machine import QUIET
from measure.results import ENCODER_FILE, GROWTH_FILE, LATENCIES, append

CLIPS, ROUNDS, SEED = 48, 3, 0
ROUND_SIZE = 16  # clips: two batches of eight
GROWTH = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)  # s
GROWTH_ENGINES = ("hf-one", "packed-fp32", "packed-bf16")
QUICK_GROWTH = (1.0, 5.0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m measure.bench.encoder", description="Measure the encoders.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=CLIPS, help="default: %(default)s")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), help=f"of {','.join(engines.NAMES)}; hf-one always runs"
    )
    parser.add_argument(
        "--model", help="as MODEL= of make serve; default: the demo model widened to full size"
    )
    parser.add_argument(
        "--quick", action="store_true", help="try the harness: demo model, 3 clips, one round"
    )
    parser.add_argument(
        "--results", type=Path, help="default: measure/bench/results, for --quick build/bench/quick"
    )
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.only or ()) - set(engines.NAMES):
        parser.error(f"--only {','.join(sorted(unknown))}: not one of {','.join(engines.NAMES)}")
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - started:5.0f} s  {text}", markup=False)

    try:
        run(chosen, say)
    except (BundleError, Unavailable) as exc:
        console.print(f"error: {exc}", markup=False)
        return 1
    return 0


def run(chosen: argparse.Namespace, say: Say) -> None:
    here = machine.describe()
    if (load := os.getloadavg()[0]) > QUIET * here.cores:
        say(f"load average {load:.1f}: the machine is not quiet, the numbers will be worth little")
    folder = prepare(resolve(model(chosen, say)))
    config = json.loads((folder / "config.json").read_text())
    rate = json.loads((folder / "preprocessor_config.json").read_text())["sampling_rate"]
    count, rounds = (3, 1) if chosen.quick else (chosen.clips, chosen.rounds)
    plan, work = planned(count, rounds, rate, QUICK_GROWTH if chosen.quick else GROWTH)
    entrants = engines.choose(engines.QUICK if chosen.quick else engines.CONTESTANTS, chosen.only)
    say("measuring the machine's large matrix products")
    before = peak.measure(here.cores)
    with Contest(plan, folder, say) as contest:
        contest.enter(entrants)
        contest.play()
        contest.grow(
            [
                it
                for it in entrants
                if it.engine.name in GROWTH_ENGINES
                and it.layout == engines.ONE_BY_TWO
                and it.allocator == "glibc"
            ]
        )
    after = before if chosen.quick else peak.measure(here.cores)
    say(f"{contest.foreign_cores:.2f} cores were busy with anything else while an engine ran")
    whole = not (chosen.quick or chosen.only or contest.absent) and count >= CLIPS and rounds >= ROUNDS
    shared = summary.Run(
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        complete=whole,
        model=chosen.model or ("demo" if chosen.quick else "demo widened to wav2vec2-base's shape"),
        clips=work,
        machine=here,
        peaks={precision: max(before[precision], after[precision]) for precision in before},
        foreign_cores=contest.foreign_cores,
    )
    results = chosen.results or (BUILD / "quick" if chosen.quick else RESULTS)
    rows, growth = summary.rows(contest, config, shared), summary.growth_rows(contest, shared)
    append(results / ENCODER_FILE, rows)
    append(results / GROWTH_FILE, growth)
    plots.draw(results, rows, growth)
    say(f"wrote {results}" + ("" if whole else "; not a complete run, so no report will quote it"))


def planned(count: int, rounds: int, rate: int, growth: Sequence[float]) -> tuple[Plan, str]:
    """The work, and a line that describes it."""
    speakers = workload.voices(rate)
    seconds = workload.durations(count, SEED)
    waveforms = workload.work(speakers, list(seconds), rate, SEED)
    dealt = workload.slices([len(it) for it in waveforms], ROUND_SIZE, SEED)
    plan = Plan(
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
