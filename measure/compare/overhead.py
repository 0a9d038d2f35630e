"""What serving adds to the encoder: gateway, TorchServe and handler against the bare encoder, on the same clips.

    python -m measure.compare.overhead [--rounds 3] [--clips 24] [--precisions fp32,bf16] [--quick]

Both have one process of two threads for the model, and take turns: at saturation (every clip at once, against the
encoder on the same clips eight at a time), and with a lone clip of 3 s. Bare means waveforms in memory to logits.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import soundfile
import torch
from speaker_id.encoder.packed.probe import precisions

from bundle.archive import prepare
from bundle.sources import resolve
from bundle.spec import ModelSpec
from measure import Unavailable, command, machine
from measure.bench.engines import ONE_BY_TWO, PACKED_BF16, PACKED_FP32, Contestant, Engine
from measure.bench.team import Team
from measure.command import Say
from measure.compare import BUILD, RESULTS, work
from measure.compare.archives import Ours
from measure.compare.burst import burst
from measure.compare.contenders import OURS_BF16, OURS_FP32, Contender
from measure.compare.results import OVERHEAD_FILE, OverheadRow
from measure.compare.servers import serving
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target, encode
from measure.results import append

ROUNDS, CLIPS, LONE = 3, 24, 20
LONE_SECONDS = 3.0
PAIRS = {"fp32": (OURS_FP32, PACKED_FP32), "bf16": (OURS_BF16, PACKED_BF16)}


@dataclass(frozen=True)
class OverheadTimes:
    """Seconds, of the served encoder and of the bare one."""

    served: list[float]  # s a round, all clips
    bare: list[float]
    lone_served: list[float]  # s a clip
    lone_bare: list[float]


def measure(
    spec: ModelSpec, pair: tuple[Contender, Engine], clips: Sequence[Clip], lone: Clip, rounds: int, say: Say
) -> OverheadTimes:
    """In turns, the served first in one round and the bare encoder in the next.

    Raises:
        Unavailable: one of them cannot run here, or an answer is missing.
    """
    contender, engine = pair
    waveforms = [soundfile.read(clip.path, dtype="float32")[0] for clip in clips]
    alone = [soundfile.read(lone.path, dtype="float32")[0]]
    found = OverheadTimes([], [], [], [])
    server = Ours(spec, contender, BUILD / "run" / f"overhead-{contender.precision}")
    with (
        serving(server, lone) as it,
        Team(Contestant(engine, ONE_BY_TWO, "glibc"), prepare(server.spec)) as bare,
    ):

        def all_served() -> None:
            got = burst(it.target, clips)
            if got.errors:
                raise Unavailable(f"at saturation: {next(iter(got.errors.values()))}")
            found.served.append(got.seconds)

        def all_bare() -> None:
            found.bare.append(bare.run(engine, waveforms).seconds)

        burst(it.target, clips[:8])
        bare.run(engine, waveforms[:8])
        for number in range(rounds):
            for turn in (all_bare, all_served) if number % 2 else (all_served, all_bare):
                turn()
            times = f"{found.served[-1]:.2f} s served, {found.bare[-1]:.2f} s bare"
            say(f"{contender.precision}: all clips in {times}")
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(LONE):
                found.lone_served.append(ask(session, it.target, lone))
                found.lone_bare.append(bare.run(engine, alone).seconds)
    return found


def ask(session: requests.Session, target: Target, clip: Clip) -> float:
    """Seconds that one answer takes over a kept connection."""
    body, headers = encode(target, clip, clip.path.read_bytes())
    began = time.perf_counter()
    response = session.post(target.url, body, headers=headers, timeout=target.timeout)
    seconds = time.perf_counter() - began
    if not response.ok:
        raise Unavailable(f"a lone clip: {response.status_code} {response.text[:200]}")
    return seconds


def row(precision: str, found: OverheadTimes, audio: float, shared: Mapping[str, Any]) -> OverheadRow:
    """Ratios of the throughputs are those of the times, inverted."""
    keeps = [bare / served for served, bare in zip(found.served, found.bare, strict=True)]
    added = [served - bare for served, bare in zip(found.lone_served, found.lone_bare, strict=True)]
    return OverheadRow(
        precision=precision,
        served=round(audio / statistics.median(found.served), 3),
        bare=round(audio / statistics.median(found.bare), 3),
        kept=round(statistics.median(keeps), 4),
        keeps=" ".join(f"{each:.4f}" for each in keeps),
        lone_served=round(statistics.median(found.lone_served), 4),
        lone_bare=round(statistics.median(found.lone_bare), 4),
        lone_added=round(statistics.median(added), 4),
        lone_clips=len(added),
        **shared,
    )


def run(chosen: argparse.Namespace, say: Say) -> None:
    began = machine.provenance()
    spec = resolve(command.model(chosen, say))
    clips = work.clips(BUILD / "overhead", work.lengths(8 if chosen.quick else chosen.clips))
    (lone,) = work.clips(BUILD / "lone", [LONE_SECONDS], work.SEED + 1)
    whole = chosen.clips >= CLIPS and chosen.rounds >= ROUNDS and chosen.precisions == list(PAIRS)
    shared = command.shared(chosen, began, work.describe(clips), whole)
    made = []
    for precision in chosen.precisions:
        found = measure(spec, PAIRS[precision], clips, lone, chosen.rounds, say)
        made.append(row(precision, found, work.seconds(clips), shared))
        say(
            f"{precision}: served {made[-1].served:.1f} seconds of audio a second, bare {made[-1].bare:.1f}: "
            f"{made[-1].kept:.1%}; a lone clip takes {1000 * made[-1].lone_served:.0f} ms, "
            f"{1000 * made[-1].lone_added:.0f} ms more than bare"
        )
    append(command.folder(chosen, RESULTS, BUILD) / OVERHEAD_FILE, made)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.compare.overhead", "Measure what serving adds to the encoder.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=CLIPS, help="default: %(default)s")
    parser.add_argument("--precisions", type=command.names, default=precisions(torch.device("cpu")))
    command.add_run_options(parser, quick="eight clips")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.precisions) - set(PAIRS):
        parser.error(f"--precisions {','.join(sorted(unknown))}: not one of {','.join(PAIRS)}")
    if chosen.rounds < 1 or chosen.clips < 1:
        parser.error("--rounds and --clips must be 1 or more")
    return command.guarded("overhead", lambda: run(chosen, command.progress()))


if __name__ == "__main__":
    sys.exit(main())
