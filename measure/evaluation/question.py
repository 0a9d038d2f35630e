"""One clip under one condition; and the probe, which tells a model from others of the same name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from speaker_id.errors import RequestError

from measure.evaluation.conditions import recording, wav
from measure.evaluation.corpus import LabelledClip
from measure.evaluation.journal import Entry, Identity, Ranking
from training import SAMPLE_RATE

PROBE_LOUDNESS = 0.1  # of full scale


@dataclass(frozen=True)
class Question:
    """One clip under one condition."""

    clip: LabelledClip
    condition: str

    def content(self) -> bytes | Entry:
        """The bytes to send; or the failure, for a clip that cannot be read or changed."""
        try:
            return recording(self.clip, self.condition)
        except RequestError as exc:
            return self.entry([], (exc.code, exc.message))
        except OSError as exc:
            return self.entry([], ("unreadable_file", f"{exc.strerror or exc}: {self.clip.path}"))

    def entry(self, ranking: Ranking, error: tuple[str, str] | None = None, seconds: float = 0.0) -> Entry:
        return Entry(self.clip.name, self.condition, self.clip.size(), ranking, error, seconds)


class Answerer(Protocol):
    """A served model, however it is reached."""

    def identity(self) -> Identity:
        """What answers; asks the probe."""
        ...

    def answers(self, questions: Iterable[Question]) -> Iterator[Entry]:
        """An entry a question, in any order."""
        ...


def probe() -> bytes:
    """A second of noise as a WAV; always the same bytes."""
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    return wav((PROBE_LOUDNESS * noise).astype(np.float32))
