"""The whole encoder in int8 and as it is served: speed in turns, and how well each keeps the answers of fp32."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from measure import workload

ROUNDS, BATCH = 12, 8
SPEED_CLIPS, SEED = 16, 7
SHORT = 4.0  # s, of a clip for agreement


def served(loaded: Any) -> tuple[Any, Any, Any]:
    """The fastest precision that is served on this processor, the kernels, and the encoder with both."""
    import torch
    from speaker_id.encoder import plans
    from speaker_id.encoder.packed import PackedEncoder
    from speaker_id.encoder.packed.probe import precisions

    precision = precisions(torch.device("cpu"))[-1]
    plan = plans.plan("auto", loaded.model.config, precision, "cpu", None)
    return precision, plan, PackedEncoder(loaded.model, loaded.feature_extractor, "cpu", precision, plan=plan)


def whole(folder: Path, threads: int) -> dict[str, Any]:
    """Both encoders in turns on the same clips: seconds of audio a second, and the median ratio of the rounds."""
    from measure.bench.int8.quantised import quantised
    from measure.bench.loaders import checkpoint

    loaded = checkpoint(folder, threads)
    precision, plan, encoder = served(loaded)
    encoders = {precision: encoder, "int8": quantised(loaded, precision, plan)}
    voices = workload.voices(loaded.sampling_rate)
    seconds = list(workload.durations(SPEED_CLIPS, SEED))
    clips = workload.work(voices, seconds, loaded.sampling_rate, SEED)
    times: dict[str, list[float]] = {name: [] for name in encoders}
    for each in encoders.values():
        each(clips[:BATCH])
    for _ in range(ROUNDS):
        for name, each in encoders.items():
            began = time.perf_counter()
            for start in range(0, len(clips), BATCH):
                each(clips[start : start + BATCH])
            times[name].append(time.perf_counter() - began)
    ratios = [mine / its for mine, its in zip(times[precision], times["int8"], strict=True)]
    speeds = {name: sum(seconds) / statistics.median(each) for name, each in times.items()}
    return {"ratio": statistics.median(ratios), "ratios": ratios, "audio_seconds_a_second": speeds}


def agreement(folder: Path, threads: int, count: int) -> dict[str, Any]:
    """Share of clips whose best label is that in fp32, and the largest change of a logit by the clip's largest one."""
    import torch
    from speaker_id.encoder.packed import PackedEncoder

    from measure.bench.int8.quantised import quantised
    from measure.bench.loaders import checkpoint

    loaded = checkpoint(folder, threads)
    precision, plan, encoder = served(loaded)
    exact = PackedEncoder(loaded.model, loaded.feature_extractor, "cpu", "fp32")
    encoders = {"fp32": exact, precision: encoder, "int8": quantised(loaded, precision, plan)}
    voices = workload.voices(loaded.sampling_rate)
    clips = workload.work(voices, [SHORT] * count, loaded.sampling_rate, SEED + 1)
    logits = {
        name: torch.cat([each(clips[start : start + BATCH]) for start in range(0, count, BATCH)])
        for name, each in encoders.items()
    }
    largest = logits["fp32"].abs().amax(1)
    return {
        name: {
            "agreement": (found.argmax(1) == logits["fp32"].argmax(1)).float().mean().item(),
            "drift": ((found - logits["fp32"]).abs().amax(1) / largest).max().item(),
        }
        for name, found in logits.items()
        if name in (precision, "int8")
    }
