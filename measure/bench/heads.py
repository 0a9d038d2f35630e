"""What heads cost that share a pass: four in one pass against one, and against four models of one head each.

python -m measure.bench.heads [--quick] [--rounds 5]     writes heads.json; with the committed results, benchmark.md too

Every arrangement is a process of its own, which loads its encoders once and answers the same clips in turn with the
others, so that other work on the machine affects all alike. Four models that are served make four passes over each
clip. Rates are of clips that have all four answers. Memory is the largest resident set while answering. The heads are
the model's own and three of random weights, whose layer weights all differ; the x-vector has the shape of SUPERB's. No
server is part of it.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speaker_id import checkpoint, kernels
from speaker_id.clip import SAMPLING_RATE, Waveform
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.memory import return_freed
from transformers import Wav2Vec2ForXVector

from bundle.archive import prepare
from bundle.sources import resolve
from measure import command, machine
from measure.bench import BUILD, RESULTS
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.sampling import peaks, reset_peaks
from measure.verdict import Verdict

FILE, PAGE = "heads.json", Page.of("benchmark", "measure.bench.heads")
HEADS = 4
BATCH = 8  # clips
LENGTHS = (4.0, 6.0, 8.0, 12.0)  # s; VoxCeleb1's mean is 8
LONE = 4.0  # s, of the clip whose latency is taken
ONE, SHARED, APART, VOICE = "one head", "four heads, one pass", "four models", "four heads and an x-vector"
ENCODERS = {ONE: 1, SHARED: 1, APART: HEADS, VOICE: 1}


@dataclass(frozen=True)
class Pass:
    """Seconds of a round and of a lone clip, and the largest resident set in bytes."""

    seconds: float
    lone: float
    peak: int


class Here:
    """What this process holds."""

    encoders: list[Callable[[Sequence[Waveform]], Any]]


def load(arrangement: str, folder: Path) -> str:
    """Load and warm up; returns what computes."""
    kernels.bound_caches()
    loaded = checkpoint.load(folder)
    more = [with_head_of_its_own(loaded.model, seed) for seed in range(1, HEADS)]
    others = more if arrangement in (SHARED, VOICE) else []
    if arrangement == VOICE:
        others = [*others, with_xvector(loaded.model)]
    packed = [
        PackedEncoder(model, loaded.feature_extractor, "cpu", others=others)
        for model in [loaded.model, *more][: ENCODERS[arrangement]]
    ]
    Here.encoders = [each.embed if arrangement == VOICE else each for each in packed]
    described = packed[0].describe()
    del loaded, more, others
    gc.collect()
    # What loading has freed but not returned to the system differs between starts by as much as heads weigh.
    return_freed()
    once(clips((1.0, LONE)))
    return described


def with_head_of_its_own(model: Any, seed: int) -> Any:
    """The same backbone, with a head and layer weights of random numbers."""
    made = copy(model)
    made._modules, made._parameters = dict(model._modules), dict(model._parameters)
    torch.manual_seed(seed)
    for name in ("projector", "classifier"):
        linear = getattr(model, name)
        setattr(made, name, torch.nn.Linear(linear.in_features, linear.out_features))
    if model.config.use_weighted_layer_sum:
        made.layer_weights = torch.nn.Parameter(torch.randn(len(model.layer_weights)))
    return made


def with_xvector(model: Any) -> Any:
    """The same backbone, with an x-vector head of random numbers."""
    with torch.device("meta"):  # its own backbone is never there
        made = Wav2Vec2ForXVector(model.config)
    made.wav2vec2 = model.wav2vec2
    torch.manual_seed(HEADS)
    for name, part in made.named_children():
        if name != "wav2vec2":
            part.to_empty(device="cpu")
            for parameter in part.parameters():
                torch.nn.init.normal_(parameter, std=0.02)
    if model.config.use_weighted_layer_sum:
        made.layer_weights = torch.nn.Parameter(torch.randn(len(model.layer_weights)))
    return made


def once(batch: Sequence[Waveform]) -> float:
    began = time.perf_counter()
    for encoder in Here.encoders:
        encoder(batch)
    return time.perf_counter() - began


def answer(lengths: Sequence[float], batches: int) -> Pass:
    """Answer so many batches, then one clip by itself."""
    waves, lone = clips(lengths), clips((LONE,))
    reset_peaks()
    seconds = sum(once(waves) for _ in range(batches))
    return Pass(seconds, once(lone), peaks()["HWM"])


def clips(lengths: Sequence[float]) -> list[Waveform]:
    noise = np.random.default_rng(0)
    return [(noise.standard_normal(round(each * SAMPLING_RATE)) * 0.1).astype(np.float32) for each in lengths]


def measure(folder: Path, rounds: int, batches: int, lengths: Sequence[float]) -> dict[str, Any]:
    """Rounds of all arrangements in turn, in an order that changes each time."""
    with ExitStack() as stack:
        pools: dict[str, ProcessPoolExecutor] = {
            name: stack.enter_context(command.process()) for name in ENCODERS
        }
        backend = {name: pool.submit(load, name, folder).result() for name, pool in pools.items()}
        taken: dict[str, list[Pass]] = {name: [] for name in ENCODERS}
        for number in range(rounds):
            order = list(pools)
            for name in order[number % len(order) :] + order[: number % len(order)]:
                taken[name].append(pools[name].submit(answer, lengths, batches).result())
    audio = sum(lengths) * batches
    return {
        "backend": backend[ONE],
        "arrangements": {
            name: {
                "audio_seconds_per_second": [audio / each.seconds for each in passes],
                "lone_ms": [each.lone * 1e3 for each in passes],
                "peak_mb": [each.peak / 1e6 for each in passes],
            }
            for name, passes in taken.items()
        },
    }


def ratios(found: dict[str, Any], name: str, to: str, of: str) -> float:
    """The median over rounds of the ratio within a round."""
    mine, theirs = (found["arrangements"][each][of] for each in (name, to))
    return float(statistics.median(one / other for one, other in zip(mine, theirs, strict=True)))


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    """What this repository set out to reach with four heads."""
    rate = "audio_seconds_per_second"
    return [
        Verdict("four heads in one pass, of one head's throughput", 0.97, ratios(found, SHARED, ONE, rate)),
        Verdict("their memory, of one head's", 1.02, ratios(found, SHARED, ONE, "peak_mb"), at_least=False),
        Verdict("requests of four models", 3.5, ratios(found, SHARED, APART, rate)),
    ]


def table(found: dict[str, Any]) -> str:
    """The Markdown of what `main` writes as JSON."""
    rows = list(found["arrangements"].items())
    median = statistics.median
    return join(
        f"{Machine(**found['machine']).words()}. {found['model']}, {found['backend']}; batches of "
        f"{found['clips']} clips, {found['rounds']} rounds.",
        Table.of(
            rows,
            (
                ("arrangement", lambda row: row[0]),
                ("audio-s/s", lambda row: f"{median(row[1]['audio_seconds_per_second']):.2f}"),
                (f"lone clip of {LONE:g} s", lambda row: f"{median(row[1]['lone_ms']):.0f} ms"),
                ("largest resident set", lambda row: f"{median(row[1]['peak_mb']):,.0f} MB"),
            ),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.heads", "Measure what heads cost that share a pass.")
    command.add_run_options(parser, "two rounds of short clips")
    parser.add_argument("--rounds", type=int, default=5, help="of all arrangements (%(default)s)")
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.heads", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    lengths, rounds = ((1.0, 2.0), 2) if chosen.quick else (LENGTHS * (BATCH // len(LENGTHS)), chosen.rounds)
    model = command.model(chosen, command.progress())
    folder = prepare(resolve(model))
    found = measure(folder, rounds, 1 if chosen.quick else 2, lengths)
    found |= {
        "machine": machine.describe().model_dump(),
        "model": model,
        "rounds": rounds,
        "clips": len(lengths),
    }
    results = command.folder(chosen, RESULTS, BUILD)
    print(PAGE.record(found, table, results / FILE, RESULTS / FILE))
    for each in verdicts(found):
        print(f"{each.what}:", *each.cells(".2f"))


if __name__ == "__main__":
    sys.exit(main())
