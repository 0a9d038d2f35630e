"""One process of a contestant: loads its engine once, then receives clips and answers them when told to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from speaker_id.clip import Waveform

from measure import Unavailable
from measure.bench.engines import Encode, Engine, Loaded, Logits
from measure.bench.loaders import LOADERS
from measure.sampling import peaks, reset_peaks

WARM_UP = (64_000, 130_000)  # samples of noise, about the shortest and the mean clip


@dataclass(frozen=True)
class Turn:
    """Clips to answer, in batches as the engine wants them."""

    engine: Engine
    clips: Sequence[Waveform]


@dataclass(frozen=True)
class TurnAnswer:
    """Logits in the order of the clips, and the largest resident set of this turn, in bytes."""

    logits: Logits
    peak: int


class Here:
    """What this process holds."""

    loaded: Loaded
    turn: Turn


@contextmanager
def in_words() -> Iterator[None]:
    """What a peer's library raises, in words: the class may be the library's, and the process that gets it has none.

    Raises:
        Unavailable: has the library's reason.
    """
    try:
        yield
    except Unavailable:
        raise
    except Exception as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc


@in_words()
def load(loader: str, folder: Path, threads: int, allocator: str, packages: str) -> tuple[int, str]:
    """Load and warm up; gives this process's id, and what computes.

    Args:
        packages: a folder of packages that are found before this repository's; empty for none.

    Raises:
        Unavailable: the engine cannot run here.
    """
    if allocator != "glibc" and allocator not in Path("/proc/self/maps").read_text():
        raise Unavailable(f"{allocator} was preloaded, yet is not in this process")
    if packages:
        # a spawned process takes the path of the one that starts it, whichever interpreter it is
        sys.path.insert(0, packages)
    Here.loaded = LOADERS[loader](folder, threads)
    noise = np.random.default_rng(0)
    Here.loaded.encode([noise.standard_normal(length).astype(np.float32) for length in WARM_UP])
    return os.getpid(), Here.loaded.backend


def receive(turn: Turn) -> None:
    Here.turn = turn
    # the kernel's high-water mark: loading a model takes more than serving it
    reset_peaks()


@in_words()
def work() -> TurnAnswer:
    """Answer what was received."""
    return TurnAnswer(answer(Here.loaded.encode, Here.turn), peaks()["HWM"])


def answer(encode: Encode, turn: Turn) -> Logits:
    order = batches([len(clip) for clip in turn.clips], turn.engine.batch, turn.engine.by_length)
    rows: dict[int, Logits] = {}
    for batch in order:
        rows.update(zip(batch, encode([turn.clips[index] for index in batch]), strict=True))
    return np.stack([rows[index] for index in range(len(turn.clips))])


def batches(lengths: Sequence[int], size: int, by_length: bool) -> list[list[int]]:
    """Positions, `size` at a time, in the given order or by length."""
    order = list(range(len(lengths)))
    if by_length:
        order.sort(key=lambda index: lengths[index])
    return [order[start : start + size] for start in range(0, len(order), size)]
