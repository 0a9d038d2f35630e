"""One process of a contestant: loads its engine once, then waits at its pipe for its turn."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from speaker_id.clip import Waveform

from measure import Unavailable
from measure.bench.engines import Engine
from measure.bench.loaders import LOADERS, Encode, Logits

WARM_UP = (64_000, 130_000)  # samples of noise, about the shortest and the mean clip


@dataclass(frozen=True)
class Ready:
    """The engine is loaded and warm."""

    backend: str


@dataclass(frozen=True)
class Failed:
    """The engine cannot run here."""

    reason: str


@dataclass(frozen=True)
class Turn:
    """Clips to answer, in batches as the engine wants them. The worker receives them, says so, and waits for its go."""

    engine: Engine
    clips: Sequence[Waveform]


@dataclass(frozen=True)
class Answer:
    """Logits in the order of the clips, and the largest resident set of this turn, in bytes."""

    logits: Logits
    peak: int


def work(pipe: Connection, loader: str, folder: Path, threads: int, allocator: str) -> None:
    """Until the pipe closes."""
    warnings.simplefilter("ignore")  # of third parties' deprecations
    try:
        if allocator != "glibc" and allocator not in Path("/proc/self/maps").read_text():
            raise Unavailable(f"{allocator} was preloaded, yet is not in this process")
        loaded = LOADERS[loader](folder, threads)
        noise = np.random.default_rng(0)
        loaded.encode([noise.standard_normal(length).astype(np.float32) for length in WARM_UP])
    except Unavailable as exc:
        pipe.send(Failed(str(exc)))
        return
    pipe.send(Ready(loaded.backend))
    while True:
        try:
            turn = pipe.recv()
        except EOFError:
            os._exit(0)  # at once: an orderly exit of torch takes a second a process
        reset_peak()
        pipe.send("received")
        pipe.recv()  # go
        logits = answer(loaded.encode, turn)
        pipe.send(Answer(logits, peak()))


def answer(encode: Encode, turn: Turn) -> Logits:
    order = batches([len(clip) for clip in turn.clips], turn.engine.batch, turn.engine.by_length)
    rows: dict[int, Logits] = {}
    for batch in order:
        for index, row in zip(batch, encode([turn.clips[index] for index in batch]), strict=True):
            rows[index] = row
    return np.stack([rows[index] for index in range(len(turn.clips))])


def batches(lengths: Sequence[int], size: int, by_length: bool) -> list[list[int]]:
    """Positions, `size` at a time, in the given order or by length."""
    order = list(range(len(lengths)))
    if by_length:
        order.sort(key=lambda index: lengths[index])
    return [order[start : start + size] for start in range(0, len(order), size)]


def reset_peak() -> None:
    """Reset the kernel's high-water mark: loading a model takes more than serving it."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Largest resident set since the last reset, in bytes; `VmHWM` of proc(5)."""
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
