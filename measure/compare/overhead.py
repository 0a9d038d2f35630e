"""What serving adds to the encoder: gateway, TorchServe and handler against the bare encoder, on the same clips.

    python -m measure.compare.overhead [--rounds 3] [--clips 24] [--precisions fp32,bf16] [--quick]

Both have one process of two threads for the model, and take turns: at saturation (every clip at once, against the
encoder on the same clips eight at a time), and with a lone clip of 3 s. Bare means waveforms in memory to logits.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import requests
import soundfile
import torch
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from speaker_id.encoder.packed.probe import precisions

from bundle import BundleError
from bundle.archive import prepare
from bundle.sources import ModelSpec, resolve
from measure import machine
from measure import workload as voxceleb
from measure.bench.engines import ONE_BY_TWO, PACKED_BF16, PACKED_FP32, Contestant, Engine
from measure.bench.peers import Unavailable as EngineUnavailable
from measure.bench.team import Team
from measure.compare import BUILD, RESULTS, work
from measure.compare.archives import Ours
from measure.compare.burst import burst
from measure.compare.contenders import OURS_BF16, OURS_FP32, Contender
from measure.compare.environments import Unavailable
from measure.compare.results import OVERHEAD_FILE
from measure.compare.servers import serving
from measure.full_size import model
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target, encode
from measure.results import append
from serving.signals import SIGNALS

ROUNDS, CLIPS, LONE = 3, 24, 20
LONE_SECONDS = 3.0
PAIRS: dict[str, tuple[Contender, Engine]] = {
    "fp32": (OURS_FP32, PACKED_FP32),
    "bf16": (OURS_BF16, PACKED_BF16),
}


class OverheadRow(BaseModel):
    """One precision in one run. Differences and ratios are taken between neighbours in time, then the median."""

    model_config = ConfigDict(frozen=True)

    precision: str
    served: float  # seconds of audio a second, over HTTP, every clip at once; median over the rounds
    bare: float
    kept: float  # served by bare
    keeps: str  # of each round
    lone_served: float  # s, of a lone clip of 3 s; median
    lone_bare: float
    lone_added: float
    lone_clips: int
    model: str
    clips: str
    run: str
    complete: bool
    commit: str
    dirty: bool
    cpu: str
    cpu_flags: str
    cores: int
    versions: str


@dataclasses.dataclass(frozen=True)
class Measured:
    served: list[float]  # s a round, all clips
    bare: list[float]
    lone_served: list[float]  # s a clip
    lone_bare: list[float]


def measure(
    spec: ModelSpec,
    pair: tuple[Contender, Engine],
    clips: Sequence[Clip],
    lone: Clip,
    rounds: int,
    say: Callable[[str], None],
) -> Measured:
    """In turns, the served first in one round and the bare encoder in the next.

    Raises:
        Unavailable, EngineUnavailable: one of them cannot run here; or an answer is missing.
    """
    contender, engine = pair
    waveforms = [soundfile.read(clip.path, dtype="float32")[0] for clip in clips]
    alone = [soundfile.read(lone.path, dtype="float32")[0]]
    found = Measured([], [], [], [])
    server = Ours(spec, contender, BUILD / "run" / f"overhead-{contender.precision}")
    with (
        serving(server, lone) as it,
        Team(Contestant(engine, ONE_BY_TWO, "glibc"), prepare(server.spec)) as bare,
    ):

        def served() -> None:
            got = burst(it.target, clips)
            if got.errors:
                raise Unavailable(f"at saturation: {next(iter(got.errors.values()))}")
            found.served.append(got.seconds)

        burst(it.target, clips[:8])
        bare.run(engine, waveforms[:8])
        for number in range(rounds):
            turns: list[Callable[[], None]] = [
                served,
                lambda: found.bare.append(bare.run(engine, waveforms).seconds),
            ]
            for turn in turns if number % 2 == 0 else turns[::-1]:
                turn()
            say(
                f"{contender.precision}: all clips in {found.served[-1]:.2f} s served, {found.bare[-1]:.2f} s bare"
            )
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


def row(precision: str, found: Measured, audio: float, run: dict[str, object]) -> OverheadRow:
    """Ratios of the throughputs are those of the times, turned over."""
    keeps = [bare / served for served, bare in zip(found.served, found.bare, strict=True)]
    added = [served - bare for served, bare in zip(found.lone_served, found.lone_bare, strict=True)]
    return OverheadRow.model_validate(
        {
            "precision": precision,
            "served": round(audio / statistics.median(found.served), 3),
            "bare": round(audio / statistics.median(found.bare), 3),
            "kept": round(statistics.median(keeps), 4),
            "keeps": " ".join(f"{each:.4f}" for each in keeps),
            "lone_served": round(statistics.median(found.lone_served), 4),
            "lone_bare": round(statistics.median(found.lone_bare), 4),
            "lone_added": round(statistics.median(added), 4),
            "lone_clips": len(added),
            **run,
        }
    )


def lone_clip(folder: Path) -> Clip:
    folder.mkdir(parents=True, exist_ok=True)
    voices = voxceleb.voices(work.SAMPLING_RATE)
    (waveform,) = voxceleb.work(voices, [LONE_SECONDS], work.SAMPLING_RATE, work.SEED + 1)
    path = folder / "lone.wav"
    soundfile.write(path, waveform, work.SAMPLING_RATE, subtype="PCM_16")
    return Clip(path.name, path, LONE_SECONDS, "audio/wav")


def run(chosen: argparse.Namespace, say: Callable[[str], None]) -> None:
    spec = resolve(model(chosen, say))
    clips = work.clips(BUILD / "overhead", 8 if chosen.quick else chosen.clips)
    lone = lone_clip(BUILD / "overhead")
    whole = (
        not chosen.quick
        and chosen.clips >= CLIPS
        and chosen.rounds >= ROUNDS
        and chosen.precisions == list(PAIRS)
    )
    shared: dict[str, object] = {
        "model": chosen.model or ("demo" if chosen.quick else "demo widened to wav2vec2-base's shape"),
        "clips": work.describe(clips),
        "run": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "complete": whole,
        **dataclasses.asdict(machine.describe()),
    }
    made = []
    for precision in chosen.precisions:
        found = measure(spec, PAIRS[precision], clips, lone, chosen.rounds, say)
        made.append(row(precision, found, work.seconds(clips), shared))
        say(
            f"{precision}: served {made[-1].served:.1f} seconds of audio a second, bare {made[-1].bare:.1f}: "
            f"{made[-1].kept:.1%}; a lone clip takes {1000 * made[-1].lone_served:.0f} ms, "
            f"{1000 * made[-1].lone_added:.0f} ms more than bare"
        )
    append((chosen.results or (BUILD / "quick" if chosen.quick else RESULTS)) / OVERHEAD_FILE, made)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.compare.overhead", description="Measure what serving adds to the encoder."
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=CLIPS, help="default: %(default)s")
    parser.add_argument(
        "--precisions", type=lambda text: text.split(","), default=precisions(torch.device("cpu"))
    )
    parser.add_argument(
        "--model", help="as MODEL= of make serve; default: the demo model widened to full size"
    )
    parser.add_argument("--quick", action="store_true", help="try the harness: demo model, eight clips")
    parser.add_argument(
        "--results", type=Path, help="default: measure/compare/results, for --quick build/compare/quick"
    )
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.precisions) - set(PAIRS):
        parser.error(f"--precisions {','.join(sorted(unknown))}: not one of {','.join(PAIRS)}")
    if chosen.rounds < 1 or chosen.clips < 1:
        parser.error("--rounds and --clips must be 1 or more")
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)  # so that what runs is ended
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    try:
        run(chosen, lambda text: console.print(f"{time.monotonic() - started:5.0f} s  {text}", markup=False))
    except (BundleError, Unavailable, EngineUnavailable) as exc:
        print(f"overhead: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("overhead: interrupted, nothing is written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
