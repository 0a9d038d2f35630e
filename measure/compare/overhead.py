"""What serving adds to the encoder: gateway, model server and handler against the bare encoder, on the same clips.

    python -m measure.compare.overhead [--rounds 3] [--clips 24] [--servers torchserve,triton] [--precisions fp32,bf16]

Both have one process of two threads for the model, and take turns: at saturation (every clip at once over HTTP, against
the encoder on the same clips eight at a time), and with a lone clip of 3 s, over HTTP and over the server's gRPC. Bare
means waveforms in memory to logits.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc
import requests
import soundfile
import torch
from speaker_id.encoder.packed.probe import precisions

from bundle.archive import prepare
from bundle.sources import resolve
from bundle.spec import ModelSpec
from measure import Unavailable, command, machine, over_grpc
from measure.answer import timings
from measure.bench.engines import ONE_BY_TWO, PACKED_BF16, PACKED_FP32, Contestant, Engine
from measure.bench.team import Team
from measure.command import Say
from measure.compare import BUILD, RESULTS, work
from measure.compare.archives import Ours
from measure.compare.burst import burst
from measure.compare.contenders import OURS_BF16, OURS_FP32, TRITON_BF16, TRITON_FP32, Contender
from measure.compare.results import OVERHEAD_FILE, OverheadRow
from measure.compare.servers import serving
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target, encode
from measure.results import append
from serving import model_servers

ROUNDS, CLIPS, LONE = 3, 16, 20
LONE_SECONDS = 3.0
ENGINES = {"fp32": PACKED_FP32, "bf16": PACKED_BF16}
PAIRS = {
    (it.server, it.precision): (it, ENGINES[it.precision])
    for it in (OURS_FP32, OURS_BF16, TRITON_FP32, TRITON_BF16)
}


@dataclass(frozen=True)
class OverheadTimes:
    """Seconds, of the served encoder and of the bare one."""

    served: list[float]  # s a round, all clips
    bare: list[float]
    lone_served: list[float]  # s a clip, over HTTP
    lone_bare: list[float]
    lone_grpc: list[float] = field(default_factory=list)
    lone_inference: list[float] = field(default_factory=list)  # s of lone_served that the encoder took


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
    server = Ours(spec, contender, BUILD / "run" / f"overhead-{contender.name}")
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
            say(f"{contender.name}: all clips in {times}")
        with requests.Session() as session, calling(contender, it.target, lone) as call:
            session.trust_env = False
            call()
            for _ in range(LONE):
                seconds, inference = ask(session, it.target, lone)
                found.lone_served.append(seconds)
                found.lone_inference.append(inference)
                found.lone_bare.append(bare.run(engine, alone).seconds)
                found.lone_grpc.append(call())
    return found


def ask(session: requests.Session, target: Target, clip: Clip) -> tuple[float, float]:
    """Seconds that one answer takes over a kept connection, and those that the encoder took of them."""
    body, headers = encode(target, clip, clip.path.read_bytes())
    began = time.perf_counter()
    response = session.post(target.url, body, headers=headers, timeout=target.timeout)
    seconds = time.perf_counter() - began
    if not response.ok:
        raise Unavailable(f"a lone clip: {response.status_code} {response.text[:200]}")
    return seconds, timings(response.headers)["inference_ms"] / 1e3


@contextmanager
def calling(contender: Contender, target: Target, clip: Clip) -> Iterator[Callable[[], float]]:
    """What asks once over gRPC and gives the seconds that it took, over a kept connection."""
    api, url = over_grpc.APIS[contender.server], urlsplit(target.url)
    message = api.request(url.path.rpartition("/")[2], "", clip.path.read_bytes())
    with over_grpc.channel(url.netloc) as channel:
        method = channel.unary_unary(api.method)

        def call() -> float:
            began = time.perf_counter()
            try:
                method(message, timeout=target.timeout)
            except grpc.RpcError as exc:
                raise Unavailable(f"a lone clip over gRPC: {exc.code().name} {exc.details()}") from exc
            return time.perf_counter() - began

        yield call


def row(
    server: str, precision: str, found: OverheadTimes, audio: float, shared: Mapping[str, Any]
) -> OverheadRow:
    """Ratios of the throughputs are those of the times, inverted."""
    keeps = [bare / served for served, bare in zip(found.served, found.bare, strict=True)]
    added = [served - bare for served, bare in zip(found.lone_served, found.lone_bare, strict=True)]
    by_grpc = [served - bare for served, bare in zip(found.lone_grpc, found.lone_bare, strict=True)]
    return OverheadRow(
        server=server,
        precision=precision,
        served=round(audio / statistics.median(found.served), 3),
        bare=round(audio / statistics.median(found.bare), 3),
        kept=round(statistics.median(keeps), 4),
        keeps=" ".join(f"{each:.4f}" for each in keeps),
        lone_served=round(statistics.median(found.lone_served), 4),
        lone_grpc=round(statistics.median(found.lone_grpc), 4),
        lone_inference=round(statistics.median(found.lone_inference), 4),
        lone_bare=round(statistics.median(found.lone_bare), 4),
        lone_added=round(statistics.median(added), 4),
        grpc_added=round(statistics.median(by_grpc), 4),
        lone_clips=len(added),
        **shared,
    )


def run(chosen: argparse.Namespace, say: Say) -> None:
    began = machine.provenance()
    spec = resolve(command.model(chosen, say))
    clips = work.clips(BUILD / "overhead", work.lengths(8 if chosen.quick else chosen.clips))
    (lone,) = work.clips(BUILD / "lone", [LONE_SECONDS], work.SEED + 1)
    pairs = [key for key in PAIRS if key[0] in chosen.servers and key[1] in chosen.precisions]
    whole = chosen.clips >= CLIPS and chosen.rounds >= ROUNDS and pairs == list(PAIRS)
    shared = command.shared(chosen, began, work.describe(clips), whole)
    made = []
    for server, precision in pairs:
        found = measure(spec, PAIRS[server, precision], clips, lone, chosen.rounds, say)
        made.append(row(server, precision, found, work.seconds(clips), shared))
        it = made[-1]
        say(
            f"{server} {precision}: served {it.served:.1f} seconds of audio a second, bare {it.bare:.1f}: "
            f"{it.kept:.1%}; a lone clip takes {1000 * it.lone_served:.0f} ms, {1000 * it.lone_added:.0f} ms more than "
            f"bare; over gRPC {1000 * (it.grpc_added or 0):.0f} ms more"
        )
    append(command.folder(chosen, RESULTS, BUILD) / OVERHEAD_FILE, made)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.compare.overhead", "Measure what serving adds to the encoder.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=CLIPS, help="default: %(default)s")
    parser.add_argument(
        "--servers", type=command.names, default=list(model_servers.NAMES), help="(%(default)s)"
    )
    parser.add_argument("--precisions", type=command.names, default=precisions(torch.device("cpu")))
    command.add_run_options(parser, quick="eight clips")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.precisions) - set(ENGINES):
        parser.error(f"--precisions {','.join(sorted(unknown))}: not one of {','.join(ENGINES)}")
    if unknown := set(chosen.servers) - set(model_servers.NAMES):
        parser.error(f"--servers {','.join(sorted(unknown))}: not one of {','.join(model_servers.NAMES)}")
    if chosen.rounds < 1 or chosen.clips < 1:
        parser.error("--rounds and --clips must be 1 or more")
    return command.guarded("overhead", lambda: run(chosen, command.progress()))


if __name__ == "__main__":
    sys.exit(main())
