"""Cuts, and what a model says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.enrolment.enrol import Embedded
from bundle.enrolment.intervals import by_person, share
from measure.openset.answers import Answers
from measure.openset.cuts import Cuts, Voiced
from training import SAMPLE_RATE

DRAWS = 300
Table = dict[str, Any]
Model = Callable[[NDArray[np.float32]], Answers]


@dataclass(frozen=True)
class Heard:
    """Cuts and what a model says of them."""

    cuts: Cuts
    answers: Answers

    @classmethod
    def of(cls, model: Model, voices: Sequence[Voiced], seconds: float) -> Heard:
        cuts = Cuts.of(voices, seconds)
        return cls(cuts, model(cuts.waveforms))

    def embedded(self) -> list[Embedded]:
        seconds = self.cuts.waveforms.shape[1] / SAMPLE_RATE
        return [
            Embedded(key, f"{place}", seconds, vector)
            for place, (key, vector) in enumerate(zip(self.cuts.keys, self.answers.vectors, strict=True))
        ]

    def by_person(self) -> dict[str, NDArray[np.float64]]:
        people = np.asarray(self.cuts.people)
        return {name: self.answers.vectors[people == name] for name in dict.fromkeys(self.cuts.people)}


def interval(people: Sequence[Sequence[str]], measure: Callable[..., float]) -> Table:
    return asdict(by_person(people, measure, DRAWS))


def of_clips(people: Sequence[str], which: NDArray[np.bool_]) -> Table:
    """The share of clips that are so."""
    return asdict(share(people, which, DRAWS))
