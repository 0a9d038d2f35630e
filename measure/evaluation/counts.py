"""Rankings → accuracies with their confidence intervals, and tests of their differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from measure.evaluation import TOP
from measure.evaluation.corpus import LabelledClip
from measure.evaluation.journal import Entry

CONFIDENCE = 0.95
SIGNIFICANT = 0.05  # p-value below which a difference is not by chance alone


class Part(BaseModel):
    """One part of a report: frozen, and no key is unknown when it is read again."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(Part):
    """Right answers out of all clips, failures among them, with Wilson's interval at 95 %.

    Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953: unlike p ± 2σ it stays within 0 and 1 and holds for
    shares near either.
    """

    right: int
    clips: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.right / self.clips


class Condition(Part):
    """One condition's outcome.

    Attributes:
        lost, gained: clips that are right as recorded and wrong here, and the other way round.
        p_value: of these two counts if the condition did nothing (McNemar's exact test); None as recorded.
    """

    name: str
    top1: Share
    top5: Share
    failures: int
    lost: int = 0
    gained: int = 0
    p_value: float | None = None


class Speaker(Part):
    """One speaker's outcome as recorded; `taken_for` counts the wrong answers, failures apart."""

    speaker: str
    clips: int
    right: int
    failures: int
    taken_for: dict[str, int]


class Comparison(Part):
    """The measured share against a published one, by the exact binomial test, two-sided."""

    published: float
    dataset: str
    reported_by: str
    difference: float
    p_value: float

    @property
    def significant(self) -> bool:
        return self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class Answered:
    """A clip and its outcome."""

    clip: LabelledClip
    entry: Entry

    def rank(self) -> int | None:
        """Where the true speaker stands, from 1; None if not among the first, or the clip failed."""
        labels = [label for label, _ in self.entry.ranking[:TOP]]
        return labels.index(self.clip.speaker) + 1 if self.clip.speaker in labels else None

    @property
    def right(self) -> bool:
        return self.rank() == 1


def binomial(right: int, clips: int, chance: float = 0.5) -> Any:
    """scipy's exact two-sided test of a share, with its intervals."""
    from scipy.stats import binomtest  # here, not above: it takes a second to import

    return binomtest(right, clips, chance)


def share(right: int, clips: int) -> Share:
    interval = binomial(right, clips).proportion_ci(CONFIDENCE, method="wilson")
    return Share(right=right, clips=clips, low=float(interval.low), high=float(interval.high))


def condition(name: str, answered: Sequence[Answered], as_recorded: Sequence[Answered] | None) -> Condition:
    """Counts of one condition; against the same clips as recorded, unless these are they."""
    right = sum(each.right for each in answered)
    counted = Condition(
        name=name,
        top1=share(right, len(answered)),
        top5=share(sum(each.rank() is not None for each in answered), len(answered)),
        failures=sum(each.entry.error is not None for each in answered),
    )
    if as_recorded is None:
        return counted
    pairs = [(before.right, after.right) for before, after in zip(as_recorded, answered, strict=True)]
    lost, gained = pairs.count((True, False)), pairs.count((False, True))
    return counted.model_copy(update={"lost": lost, "gained": gained, "p_value": mcnemar(lost, gained)})


def mcnemar(lost: int, gained: int) -> float:
    """Probability that two equally likely counts differ by as much.

    McNemar (1947), https://doi.org/10.1007/BF02295996, in its exact form.
    """
    return float(binomial(lost, lost + gained).pvalue) if lost + gained else 1.0


def speakers(answered: Sequence[Answered]) -> list[Speaker]:
    """Every speaker, the worst first; among equals the one with more clips, then by name."""
    grouped: dict[str, list[Answered]] = {}
    for each in answered:
        grouped.setdefault(each.clip.speaker, []).append(each)
    rows = [
        Speaker(
            speaker=speaker,
            clips=len(theirs),
            right=sum(each.right for each in theirs),
            failures=sum(each.entry.error is not None for each in theirs),
            taken_for=mistakes(theirs),
        )
        for speaker, theirs in grouped.items()
    ]
    return sorted(rows, key=lambda row: (row.right / row.clips, -row.clips, row.speaker))


def mistakes(answered: Sequence[Answered]) -> dict[str, int]:
    """Wrong answers, the most frequent first."""
    wrong = (each.entry.ranking[0][0] for each in answered if each.entry.ranking and not each.right)
    counted: Mapping[str, int] = Counter(wrong)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def compare(measured: Share, published: float, dataset: str, reported_by: str) -> Comparison:
    return Comparison(
        published=published,
        dataset=dataset,
        reported_by=reported_by,
        difference=measured.value - published,
        p_value=float(binomial(measured.right, measured.clips, published).pvalue),
    )
