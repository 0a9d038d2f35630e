"""The encoder on a GPU: ours, before and after each step, against Hugging Face's model, interleaved in one run.

python -m measure.bench.gpu [--quick] [--rounds 3] [--seconds 960]     writes gpu.json and docs/results/gpu.md

The clips are as long as those of LibriSpeech's test-other (mean 6.5 s), on which NVIDIA publishes its figures for
wav2vec2-base, and are filled with the demo's voices. All contestants are loaded in one process and answer a round's
clips in turn; rates are of a round's audio from waveforms in the CPU's memory to logits there. `gpu_served` adds what
the handler's pipeline reaches around it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from speaker_id import checkpoint
from speaker_id.clip import Waveform
from torch import Tensor

from bundle.archive import prepare
from bundle.sources import resolve
from measure import Unavailable, command, machine, workload
from measure.bench import BUILD, RESULTS, gpu_profile, gpu_report, gpu_served
from measure.bench.gpu_contestants import BUDGET, contestants
from measure.command import Say

DEVICE = "cuda:0"
SEED = 0
# of the logarithm of a clip's seconds: LibriSpeech's test-other has 2,939 clips of 1.3 to 35 s in 5.3 h
MEDIAN, SPREAD, SHORTEST, LONGEST = 5.38, 0.614, 1.3, 35.0


def durations(seconds: float) -> npt.NDArray[np.float64]:
    """Lengths of about so much audio together, in seconds."""
    rng, found = np.random.default_rng(SEED), list[float]()
    while sum(found) < seconds:
        found.append(float(np.clip(rng.lognormal(np.log(MEDIAN), SPREAD), SHORTEST, LONGEST)))
    return np.round(found, 2)


def measure(
    folder: Path, device: str, rounds: int, clips: Sequence[Waveform], rate: int, say: Say
) -> dict[str, Any]:
    taking_part = contestants(folder, device)
    audio = sum(map(len, clips)) / rate
    for number in range(rounds + 1):
        for each in taking_part.values():
            each.run(clips, audio)
            say(f"round {number}/{rounds}  {each.rates[-1]:7.0f} s of audio a second  {each.name}")
            if number == 0:
                each.rates.clear()  # it warmed up
    reference, labels = taking_part[gpu_report.HF_ONE], taking_part[gpu_report.HF_ONE].logits.shape[1]

    def off(found: Tensor, expected: Tensor) -> float:
        return float(((found[:, :labels] - expected).abs().amax(1) / expected.std(1)).max())

    rows = [
        {
            "name": each.name,
            "audio_seconds_per_second": each.rates,
            "peak_mb": each.peak / 1e6,
            "agreement": float(
                (each.logits[:, :labels].argmax(1) == reference.logits.argmax(1)).float().mean()
            ),
            "largest_difference": off(each.logits, reference.logits),
        }
        for each in taking_part.values()
    ]
    alone = {
        name: off(
            taking_part[name].logits[: len(clips[:64])],
            torch.cat([taking_part[name].encode([clip]) for clip in clips[:64]])[:, :labels],
        )
        for name in (gpu_report.FP32, gpu_report.BEST)
    }
    best = taking_part[gpu_report.BEST]
    return {
        "batch_seconds": BUDGET,
        "rounds": rounds,
        "rows": rows,
        "company": alone,
        "profile": gpu_profile.of(best.encode, best.cut(clips)[0], rate, folder) if best.peak else {},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.gpu", "Measure the encoder on a GPU.")
    command.add_run_options(parser, "one round of a minute of audio, on the CPU where there is no GPU")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=960.0, help="of audio in a round (%(default)s)")
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.gpu", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    if not (torch.cuda.is_available() or chosen.quick):
        raise Unavailable("there is no CUDA device")
    device = DEVICE if torch.cuda.is_available() else "cpu"
    rounds, seconds = (1, 20.0) if chosen.quick else (chosen.rounds, chosen.seconds)
    say = command.progress()
    model = command.model(chosen, say)
    found = {"gpu": gpu_profile.describe(), **machine.provenance(), "model": model}
    folder = prepare(resolve(model))
    rate = checkpoint.load(folder).sampling_rate
    lengths = durations(seconds)
    clips = workload.work(workload.voices(rate), list(lengths), rate, SEED)
    found["work"] = (
        f"{len(clips)} clips of {lengths.min():.1f} to {lengths.max():.1f} s, mean {lengths.mean():.1f} s"
    )
    found |= measure(folder, device, rounds, clips, rate, say)
    say(f"the profile: {found['profile']}")
    found["served"] = gpu_served.measure(folder, device, clips, rate, say)
    results = command.folder(chosen, RESULTS, BUILD)
    file = gpu_report.FILE
    print(gpu_report.PAGE.record(found, gpu_report.text, results / file, RESULTS / file))


if __name__ == "__main__":
    sys.exit(main())
