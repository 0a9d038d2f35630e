"""All that take part in the benchmark on a GPU: an encoder, how clips become its batches, and what it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speaker_id import checkpoint
from speaker_id.batching import pack
from speaker_id.clip import Waveform
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.encoder.reference import ReferenceEncoder
from torch import Tensor

from measure.bench import gpu_report
from measure.bench.heads import HEADS, with_head_of_its_own

BUDGET = 480.0  # s of audio that our encoders get at once
PADDED = 32  # clips

Encode = Callable[[Sequence[Waveform]], Tensor]


@dataclass
class GpuContestant:
    """A way to compute, and what it did.

    Attributes:
        cut: clips → batches.
        callers: threads that give it batches, each with a stream of its own.
        times: how often it answers a round's clips; a fraction of a second is too short to measure.
        rates: seconds of audio a second, one a round.
        peak: memory that it took on the GPU beside all weights, in bytes.
        logits: of the round's clips.
    """

    name: str
    encode: Encode
    cut: Callable[[Sequence[Waveform]], list[list[Waveform]]]
    callers: int = 1
    times: int = 1
    rates: list[float] = field(default_factory=list)
    peak: int = 0
    logits: Tensor = field(default_factory=lambda: torch.empty(0))

    def run(self, clips: Sequence[Waveform], audio: float) -> None:
        batches = self.cut(clips)
        orders = np.random.default_rng(len(self.rates) + 1)
        # each time in another order: traffic has no two batches of one size
        again = [
            self.cut([clips[index] for index in orders.permutation(len(clips))])
            for _ in range(self.times - 1)
        ]
        before = memory(reset=True)
        began = time.perf_counter()
        numbers = iter(range(self.callers))
        with ThreadPoolExecutor(self.callers, initializer=lambda: own_stream(next(numbers))) as threads:
            found = list(threads.map(self.encode, [*batches, *chain.from_iterable(again)]))
        self.rates.append(self.times * audio / (time.perf_counter() - began))
        self.peak = max(self.peak, memory() - before)
        self.logits = torch.cat(found[: len(batches)])


def own_stream(number: int) -> None:
    if torch.cuda.is_available():
        torch.cuda.set_stream(stream(number))


@cache
def stream(_: int) -> Any:
    """The same ones each time: each keeps memory of its own."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def memory(reset: bool = False) -> int:
    """The largest memory allocated on the GPU since the last reset; it is what is allocated now where that is reset."""
    if not torch.cuda.is_available():
        return 0
    torch.cuda.synchronize()
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.max_memory_allocated()


def one_by_one(clips: Sequence[Waveform]) -> list[list[Waveform]]:
    return [[clip] for clip in clips]


def by_count(clips: Sequence[Waveform]) -> list[list[Waveform]]:
    return [list(clips[start : start + PADDED]) for start in range(0, len(clips), PADDED)]


def by_seconds(seconds: float, rate: int) -> Callable[[Sequence[Waveform]], list[list[Waveform]]]:
    """As the pipeline cuts its micro-batches with this `max_batch_audio_seconds`."""

    def cut(clips: Sequence[Waveform]) -> list[list[Waveform]]:
        return [[clip for _, clip in batch] for batch in pack(enumerate(clips), int(seconds * rate))]

    return cut


def hugging_face(folder: Path, device: str, dtype: torch.dtype) -> Encode:
    """Its model with a batch padded to the longest clip; with one clip a batch, nothing is padded."""
    loaded = checkpoint.load(folder)
    model = loaded.model.to(device, dtype)

    @torch.inference_mode()
    def encode(clips: Sequence[Waveform]) -> Tensor:
        features = loaded.feature_extractor(
            list(clips), sampling_rate=loaded.sampling_rate, padding=True, return_tensors="pt"
        )
        if len(clips) == 1:
            features.pop("attention_mask", None)
        values = {name: value.to(device) for name, value in features.items()}
        values["input_values"] = values["input_values"].to(dtype)
        found: Tensor = model(**values).logits.float().cpu()
        return found

    return encode


def contestants(folder: Path, device: str) -> dict[str, GpuContestant]:
    """All that take part, the reference first."""
    loaded = checkpoint.load(folder)
    rate, features = loaded.sampling_rate, loaded.feature_extractor
    bf16, whole = torch.bfloat16, by_seconds(BUDGET, rate)

    def packed(precision: Any, backend: Any = "auto", others: Sequence[Any] = ()) -> PackedEncoder:
        return PackedEncoder(loaded.model, features, device, precision, backend, others)

    heads = [with_head_of_its_own(loaded.model, seed) for seed in range(1, HEADS)]
    best, four = packed("bf16"), packed("bf16", others=heads)
    apart = [best, *(PackedEncoder(head, features, device, "bf16") for head in heads)]
    fp32 = packed("fp32")
    before = {precision: packed(precision, "portable") for precision in ("fp32", "bf16")}
    batched = packed("bf16", "batched")

    def ours(
        name: str, encode: Encode, callers: int = 1, seconds: float = BUDGET, times: int = 8
    ) -> GpuContestant:
        return GpuContestant(name, encode, by_seconds(seconds, rate), callers, times)

    reference = ReferenceEncoder(checkpoint.load(folder).model, features, device)
    found = [
        GpuContestant(gpu_report.HF_ONE, reference, one_by_one),
        GpuContestant("Hugging Face one by one, bf16", hugging_face(folder, device, bf16), one_by_one),
        GpuContestant(gpu_report.HF_PADDED, hugging_face(folder, device, bf16), by_count),
        GpuContestant("ours before, clip by clip, fp32", before["fp32"], whole),
        GpuContestant("ours before, clip by clip, bf16", before["bf16"], whole),
        ours("batched, plain torch, bf16", batched),
        ours(gpu_report.FP32, fp32, times=2),
        ours("batched, fused, bf16, batches of 120 s", best, seconds=120.0),
        ours("batched, fused, bf16, one caller", best),
        ours(gpu_report.BEST, best, callers=3),
        ours("the same, batches of 960 s", best, callers=3, seconds=960.0),
        ours(gpu_report.FOUR, four, callers=3),
        ours(gpu_report.APART, lambda clips: torch.cat([each(clips) for each in apart], 1), callers=3),
    ]
    return {each.name: each for each in found}
