"""What the handler's pipeline reaches around the encoder on a GPU: WAV bodies in, answers out, without a server.

Each worker is a process with a pipeline of its own, as a model server starts them; the same bodies again and again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from speaker_id import checkpoint
from speaker_id.clip import Waveform
from speaker_id.decoders import Decoders
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload, Space
from speaker_id.settings import Settings

from measure import command, workload
from measure.command import Say

WORKERS = (1, 2, 4)
SECONDS = 4.0  # of each measurement
BATCH = 64  # requests of one clip: the server's batchSize
AUDIO = 480.0  # s, `max_batch_audio_seconds`


class Worker:
    """What this process holds."""

    pipeline: Pipeline
    payloads: list[Payload]
    audio: float  # s of one batch
    spent: dict[str, float]


def load(folder: Path, device: str, precision: Any, bodies: Sequence[bytes], audio: float) -> None:
    loaded = checkpoint.load(folder)
    encoder = PackedEncoder(loaded.model, loaded.feature_extractor, device, precision)
    settings = Settings.model_validate({"max_batch_audio_seconds": AUDIO})
    Worker.pipeline = Pipeline(
        decoders=Decoders(1, sampling_rate=loaded.sampling_rate, max_seconds=settings.max_clip_seconds),
        encoder=encoder,
        labels=loaded.labels,
        default_function="softmax",
        sampling_rate=loaded.sampling_rate,
        settings=settings,
        model=Model("m", "1"),
        space=Space("m", "", encoder.embedding_width),
    )
    Worker.payloads, Worker.audio = [Payload({"body": body}) for body in bodies], audio
    Worker.spent = {}
    stages: dict[str, Any] = {
        "parse": Worker.pipeline.accept,
        "encode": Worker.pipeline.inference,
        "answer": Worker.pipeline.answering,
    }
    names = {"parse": "accept", "encode": "inference", "answer": "answering"}
    for stage, function in stages.items():
        Worker.pipeline.__dict__[names[stage]] = timed(stage, function)
    for _ in range(2):
        batch()


def timed(stage: str, function: Callable[..., Any]) -> Any:
    """The stage, with its seconds added up. What it has beside its call is its own."""

    class Timed:
        def __call__(self, *given: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*given)
            finally:
                Worker.spent[stage] = Worker.spent.get(stage, 0.0) + time.perf_counter() - began

        def __getattr__(self, name: str) -> Any:
            return getattr(function, name)

    return Timed()


def batch() -> float:
    """Answer one batch; returns the seconds that its clips took to decode."""
    outcomes = Worker.pipeline.identify(Worker.payloads)
    assert all(outcome.error is None for outcome in outcomes)
    return sum(outcome.decode_seconds for outcome in outcomes)


def answer(begin: float, seconds: float) -> tuple[int, dict[str, float]]:
    """Answer batches from a time on; returns how many, and the share of the time that each stage took."""
    time.sleep(max(0.0, begin - time.time()))
    Worker.spent = {"decode": 0.0}
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        Worker.spent["decode"] += batch()
        count += 1
    return count, {stage: each / spent for stage, each in Worker.spent.items()}


def measure(
    folder: Path, device: str, clips: Sequence[Waveform], rate: int, say: Say
) -> list[dict[str, Any]]:
    """A row a number of workers."""
    on_gpu = device != "cpu"
    workers, seconds, count = (WORKERS, SECONDS, BATCH) if on_gpu else (WORKERS[:1], 0.1, 2)
    asked = clips[:count]
    audio = sum(map(len, asked)) / rate
    given = (
        folder,
        device,
        "bf16" if on_gpu else "fp32",
        [workload.wav(clip, rate) for clip in asked],
        audio,
    )
    rows = []
    with ExitStack() as stack:
        pools: list[ProcessPoolExecutor] = []
        for number in workers:
            while len(pools) < number:
                pools.append(stack.enter_context(command.process()))
                pools[-1].submit(load, *given).result()
            begin = time.time() + 0.5
            taken = [
                each.result() for each in [pool.submit(answer, begin, seconds) for pool in pools[:number]]
            ]
            took = time.time() - begin
            rows.append(
                {
                    "workers": number,
                    "audio_seconds_per_second": sum(done for done, _ in taken) * audio / took,
                    "clips_per_second": sum(done for done, _ in taken) * len(asked) / took,
                    "stages": taken[0][1],
                }
            )
            say(f"{number} workers: {rows[-1]['audio_seconds_per_second']:.0f} s of audio a second")
    return rows
