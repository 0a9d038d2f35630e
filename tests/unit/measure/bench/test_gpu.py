"""The benchmark on a GPU without one: the work, a contestant's run, and what is said of a recorded run."""

from __future__ import annotations

import numpy as np
import torch
from speaker_id.clip import Waveform

from measure.bench import gpu, gpu_contestants, gpu_report
from measure.machine import describe

CLIPS = [np.full(seconds * 16_000, number, np.float32) for number, seconds in enumerate((3, 1, 2, 4))]


def test_the_clips_are_as_long_as_librispeechs_test_other() -> None:
    """2,939 clips of 1.3 to 35 s, 5.34 h."""
    lengths = gpu.durations(5.34 * 3600)
    assert 2600 < len(lengths) < 3300
    assert lengths.min() >= 1.3
    assert lengths.max() <= 35
    assert lengths.tolist() == gpu.durations(5.34 * 3600).tolist()


def test_a_contestant_answers_its_batches_in_the_clips_order() -> None:
    seen: list[int] = []

    def encode(clips: list[Waveform]) -> torch.Tensor:
        seen.append(len(clips))
        return torch.tensor([[clip[0]] for clip in clips])

    contestant = gpu_contestants.GpuContestant(
        "any", encode, gpu_contestants.by_seconds(4.0, 16_000), callers=2
    )  # type: ignore[arg-type]
    contestant.run(CLIPS, audio=10.0)
    assert sorted(seen) == [1, 1, 2]
    assert contestant.logits.flatten().tolist() == [0, 1, 2, 3]
    assert contestant.rates[0] > 0


def recorded() -> dict[str, object]:
    names = (gpu_report.HF_ONE, gpu_report.HF_PADDED, gpu_report.FP32, gpu_report.BEST)
    rates = {name: [100.0 * 4**number, 50.0 * 4**number] for number, name in enumerate(names)}
    rates |= {gpu_report.FOUR: [4000.0, 4100.0], gpu_report.APART: [1000.0, 1000.0]}
    return {
        "gpu": {"name": "NVIDIA H100, 80 GB", "driver": "580.1"},
        "machine": describe().model_dump(),
        "date": "2026-11-26T15:00:00Z",
        "model": "demo",
        "work": "4 clips",
        "rounds": 2,
        "batch_seconds": 480.0,
        "rows": [
            {
                "name": name,
                "audio_seconds_per_second": each,
                "peak_mb": 1.0,
                "agreement": 1.0,
                "largest_difference": 1e-5,
            }
            for name, each in rates.items()
        ],
        "company": {gpu_report.FP32: 3e-6, gpu_report.BEST: 0.1},
        "profile": {
            "audio_seconds": 480.0,
            "ms": {"attention": 5.0, "linear maps": 15.0},
            "tflop": 7.0,
            "product_tflops": 700.0,
        },
        "served": [
            {
                "workers": 2,
                "audio_seconds_per_second": 4320.0,
                "clips_per_second": 600.0,
                "stages": {"decode": 0.1, "encode": 0.8},
            }
        ],
    }


def test_a_run_is_judged_by_the_targets() -> None:
    judged = {it.what: (it.measured, it.met) for it in gpu_report.verdicts(recorded())}
    assert judged["bf16"] == (4800.0, False)
    assert judged["the pipeline at its best, of the encoder"] == (0.9, True)
    assert judged["fp32, in company from alone"] == (3e-6, True)
    assert judged["four heads in one pass, of four models"] == (4.05, True)


def test_the_page_has_ratios_within_a_round_and_where_the_time_goes() -> None:
    text = gpu_report.text(recorded())
    assert "| batched, fused, bf16, three callers | 4,800 | 64.0 | 16.0 | 1 MB | 100.0% | 1e-05 |" in text
    assert "keeps the GPU busy for 20.0 ms" in text
    assert "so 350 TFLOP/s over all" in text
    assert "| linear maps | 15.00 | 75% |" in text
    assert "| 2 | 4,320 | 600 | 10% | 80% |" in text
