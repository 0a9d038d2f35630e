"""Held-out voices → recordings: turns of known voices and strangers, and who speaks when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from measure.openset.cuts import Voiced
from measure.workload import wav
from training import SAMPLE_RATE

KNOWN, STRANGERS = 3, 2  # voices of one recording
LEAST_SECONDS = 30.0  # of a voice
TURN_SECONDS = (1.0, 6.0, 30.0)  # the shortest, the median and the longest
SPREAD = 0.7  # of the logarithm of a turn's length


class Turn(NamedTuple):
    """`label` is None for a stranger."""

    start: float
    end: float
    label: str | None


@dataclass(frozen=True)
class Joined:
    """A recording, and its reference."""

    samples: NDArray[np.float32]
    turns: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def strangers_seconds(self) -> float:
        return sum(turn.end - turn.start for turn in self.turns if turn.label is None)

    def wav(self) -> bytes:
        return wav(self.samples)


def joined(known: Sequence[Voiced], strangers: Sequence[Voiced], seconds: float, seed: int) -> Joined:
    """Draw a recording: KNOWN and STRANGERS voices, in turns without a pause but those within the voices.

    Each turn goes on where its voice stopped, from a place drawn at first; a voice that ends begins again.

    Args:
        known, strangers: whose voices may be heard.
        seconds: of the recording.
        seed: of the drawing.
    """
    random = np.random.default_rng(seed)
    chosen = [*_drawn(known, KNOWN, random), *_drawn(strangers, STRANGERS, random)]
    at = [int(random.integers(len(samples))) for _, _, samples in chosen]
    parts: list[NDArray[np.float32]] = []
    turns: list[Turn] = []
    size, total, last = 0, int(seconds * SAMPLE_RATE), -1
    shortest, median, longest = TURN_SECONDS
    while size < total:
        voice = int(random.choice([number for number in range(len(chosen)) if number != last]))
        length = float(np.clip(median * np.exp(SPREAD * random.standard_normal()), shortest, longest))
        count = min(int(length * SAMPLE_RATE), total - size)
        samples = chosen[voice][2]
        parts.append(samples[np.arange(at[voice], at[voice] + count) % len(samples)])
        label = chosen[voice][0] if voice < KNOWN else None
        turns.append(Turn(size / SAMPLE_RATE, (size + count) / SAMPLE_RATE, label))
        at[voice], size, last = at[voice] + count, size + count, voice
    return Joined(np.concatenate(parts), tuple(turns))


def _drawn(voices: Sequence[Voiced], count: int, random: np.random.Generator) -> list[Voiced]:
    enough = [voice for voice in voices if len(voice[2]) >= LEAST_SECONDS * SAMPLE_RATE]
    return [enough[number] for number in random.choice(len(enough), count, replace=False)]
