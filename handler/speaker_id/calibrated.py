"""What galleries and guards carry alike: which model they are of, and how scores become probabilities and decisions."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

UNKNOWN = "unknown"  # the last label of a head that may answer it


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Maker(Part):
    """What computed the embeddings: vectors of another model mean nothing to this one.

    Attributes:
        model, revision: as served; the revision is None for a local folder.
        sha256: of every tensor that the embedding depends on, see `fingerprint`.
        dim: of an embedding.
    """

    model: str
    revision: str | None = None
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    dim: int = Field(ge=1)

    def same(self, other: Maker) -> bool:
        """Whether both compute the same embeddings, whatever they are called."""
        return (self.sha256, self.dim) == (other.sha256, other.dim)


class Threshold(Part):
    """A score that strangers' best scores pass with probability `fpir`.

    Attributes:
        observed: whether as many strangers were heard as it takes to observe the rate; else it is extrapolated.
    """

    fpir: float = Field(gt=0, lt=1)
    score: float = Field(allow_inf_nan=False)
    observed: bool


def falling(thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
    """Raise ValueError unless each rate is below the one before it: `interpolated` would take a wrong score."""
    rates = [each.fpir for each in thresholds]
    if any(low >= high for high, low in pairwise(rates)):
        raise ValueError(
            f"the rates of the thresholds do not fall: {', '.join(f'{rate:g}' for rate in rates)}"
        )
    return thresholds


Thresholds = Annotated[tuple[Threshold, ...], Field(min_length=2), AfterValidator(falling)]


class Calibrated(Part):
    """How scores become probabilities and decisions.

    Attributes:
        slope: of the log odds against "unknown", by score.
        neutral: the threshold at which strangers are the share that they are of the calibration's trials.
        thresholds: by falling fpir.
    """

    slope: float = Field(gt=0, allow_inf_nan=False)
    neutral: float = Field(allow_inf_nan=False)
    thresholds: Thresholds

    def threshold(self, fpir: float, min_score: float | None = None) -> float:
        """The score that a clip must pass: at a rate, or ±infinite for a `min_score` of 1 and 0."""
        if min_score is not None:
            return of_probability(min_score, self.slope, self.neutral)
        return interpolated(self.thresholds, fpir)


def of_probability(min_score: float, slope: float, neutral: float) -> float:
    """The score at which a voice has a probability against "unknown" alone; ±infinite for 1 and 0."""
    odds = math.log(min_score / (1 - min_score)) if 0 < min_score < 1 else math.inf * (2 * min_score - 1)
    return neutral + odds / slope


def interpolated(thresholds: tuple[Threshold, ...], fpir: float) -> float:
    """The threshold of a rate between two known ones, linear in log odds; beyond them, the outermost."""
    rates = [math.log(each.fpir / (1 - each.fpir)) for each in thresholds]  # falling
    wanted = math.log(fpir / (1 - fpir))
    if wanted >= rates[0]:
        return thresholds[0].score
    for (low, upper), (high, lower) in zip(
        zip(rates[1:], thresholds[1:], strict=True), zip(rates, thresholds, strict=False), strict=False
    ):
        if wanted >= low:
            share = (high - wanted) / (high - low)
            return lower.score + share * (upper.score - lower.score)
    return thresholds[-1].score
