"""The worker as TorchServe starts it: is its first request as fast as its later ones, and what bounds its memory?

python -m measure.bench.handler [--model demo] [--starts 3]     writes handler.json and docs/results/benchmark.md

Every figure comes from a process of its own, which loads the model, warms it up as the handler does before it reports
READY, and only then sees a request.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speaker_handler import SpeakerHandler
from speaker_id.clip import SAMPLING_RATE
from speaker_id.encoder.packed.probe import DTYPES, precisions
from speaker_id.protocol import Payload
from speaker_id.settings import Settings
from ts.context import Context

from bundle.archive import prepare
from bundle.sources import resolve
from measure import command, machine
from measure.bench import BUILD, RESULTS
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.sampling import peaks, reset_peaks
from measure.workload import wav

LENGTHS = (1.0, 3.0, 8.0, 20.0)  # s; the warm-up runs 1, 4 and 15
LATER = 8  # requests after the first
LONG = 60.0  # s
CLIPS = (2, 16)  # of LONG: one micro-batch of the default budget, and a batch of many
FILE, PAGE = "handler.json", Page.of("benchmark", "measure.bench.handler")
FIRST, MEMORY = "first request by later ones", "resident MB, idle and peak"


def recording(seconds: float, seed: int) -> bytes:
    """A WAV file of noise."""
    return wav(np.random.default_rng(seed).standard_normal(round(seconds * SAMPLING_RATE)) * 0.1)


def load(folder: Path, settings: dict[str, Any]) -> SpeakerHandler:
    handler, manifest = SpeakerHandler(), {"model": {"modelVersion": "1.0"}}
    config = {"maxWorkers": 1, "speaker_id": settings}
    handler.initialize(Context("model", str(folder), manifest, 1, None, "", model_yaml_config=config))
    return handler


def first_and_later(folder: Path, settings: dict[str, Any], seconds: float) -> list[float]:
    """Seconds that the first request takes, then those of some more, whose lengths differ by a hundredth each.

    Traffic has no two clips of one length, and a new length costs some milliseconds of compiling: a later request of
    the same length would be faster than any that a server gets.
    """
    handler = load(folder, settings)
    times = []
    for number in range(1 + LATER):
        body = recording(seconds * (1 + number / 100), number)
        payload = Payload(parts={"body": body}, headers={}, path="")
        began = time.perf_counter()
        (outcome,) = handler.pipeline.identify([payload])
        times.append(time.perf_counter() - began)
        assert outcome.error is None
    return times


def memory(folder: Path, settings: dict[str, Any], clips: int, seconds: float) -> tuple[int, int]:
    """Largest resident set in bytes, once warm and while one batch of so many long clips is answered."""
    handler = load(folder, settings)
    body = recording(seconds, 0)
    reset_peaks()
    idle = peaks()["HWM"]
    outcomes = handler.pipeline.identify([Payload(parts={"body": body}, headers={}, path="")] * clips)
    assert all(outcome.error is None for outcome in outcomes)
    return idle, peaks()["HWM"]


def measure(folder: Path, settings: dict[str, Any], starts: int, lengths: Sequence[float]) -> dict[str, Any]:
    """First request against later ones by length, medians over the starts; memory by number of long clips."""
    first, peaks = {}, {}
    for seconds in lengths:
        runs = [command.apart(first_and_later, folder, settings, seconds) for _ in range(starts)]
        first[f"{seconds:g} s"] = statistics.median(run[0] / statistics.median(run[1:]) for run in runs)
    for count in CLIPS:
        taken = command.apart(memory, folder, settings, count, LONG)
        peaks[f"{count} × {LONG:g} s"] = [value / 1e6 for value in taken]
    return {FIRST: first, MEMORY: peaks}


def table(found: dict[str, Any]) -> str:
    """The Markdown of what `main` writes as JSON."""
    lengths, loads = found["fp32"][FIRST], found["fp32"][MEMORY]
    headings = [
        "",
        *(f"first by later, {it}" for it in lengths),
        "idle",
        *(f"peak, {load}" for load in loads),
    ]

    def cells(precision: str) -> list[str]:
        memory = list(found[precision][MEMORY].values())
        sizes = [memory[0][0], *(peak for _, peak in memory)]
        ratios = (f"{value:.2f}×" for value in found[precision][FIRST].values())
        return [precision, *ratios, *(f"{size:.0f} MB" for size in sizes)]

    return join(
        f"{Machine(**found['machine']).words()}.",
        Table(headings, [cells(precision) for precision in DTYPES if precision in found]),
    )


def model_dir(checkpoint: Path, folder: Path = BUILD / "worker") -> Path:
    """A folder as TorchServe unpacks an archive, as far as the handler reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint").unlink(missing_ok=True)
    (folder / "checkpoint").symlink_to(checkpoint.resolve())
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.handler", "Measure a fresh worker.", RESULTS)
    parser.add_argument("--model", help="as MODEL= of make serve; default: the demo widened to full size")
    parser.add_argument(
        "--starts", type=int, default=3, help="fresh processes a length (default: %(default)s)"
    )
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.handler", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    name = chosen.model or command.widened(lambda text: print(text, flush=True))
    found: dict[str, Any] = {"model": name, "machine": machine.describe().model_dump()}
    for precision in precisions(torch.device("cpu")):
        settings = {"precision": precision}
        spec = resolve(name).model_copy(update={"speaker_id": Settings.model_validate(settings)})
        found[precision] = measure(model_dir(prepare(spec)), settings, chosen.starts, LENGTHS)
        print(json.dumps({precision: found[precision]}, indent=2, ensure_ascii=False), flush=True)
    PAGE.record(found, table, chosen.results / FILE, RESULTS / FILE)


if __name__ == "__main__":
    sys.exit(main())
