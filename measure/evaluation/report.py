"""The result of one evaluation, as one JSON file and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from bundle.spec import ModelSpec
from measure.evaluation import EvaluationError
from measure.evaluation.conditions import CLEAN
from measure.evaluation.corpus import Corpus, slug
from measure.evaluation.counts import (
    Answered,
    Comparison,
    Condition,
    Part,
    Share,
    Speaker,
    compare,
    condition,
    speakers,
)
from measure.evaluation.journal import Entry, Identity
from measure.machine import git, now

REPORT_FILE = "report.json"
SMALLEST_P = 0.001  # that is written out


class Failure(Part):
    """A clip without an answer."""

    clip: str
    condition: str
    code: str
    message: str


class Report(Part):
    """One evaluation.

    Attributes:
        corpus, total: its name, and how many clips it has; fewer were asked about if it was sampled.
        conditions: as recorded first.
        speakers: as recorded, the worst first.
        strangers: true speakers whom no answer named: perhaps the model does not know them.
    """

    model: str
    version: str
    through: str
    finished: str
    commit: str
    corpus: str
    total: int
    conditions: list[Condition]
    speakers: list[Speaker]
    strangers: list[str]
    failures: list[Failure]
    published: Comparison | None

    @property
    def clean(self) -> Condition:
        return self.conditions[0]

    @property
    def slug(self) -> str:
        return slug(self.corpus)


def build(
    identity: Identity,
    corpus: Corpus,
    conditions: Sequence[str],
    entries: Mapping[tuple[str, str], Entry],
    spec: ModelSpec | None,
) -> Report:
    """Count a complete journal: it has every clip of the corpus under every condition."""
    answered = {
        name: [Answered(clip, entries[clip.name, name]) for clip in corpus.clips] for name in conditions
    }
    asked = {(each.clip.name, name): each.entry for name, those in answered.items() for each in those}
    recorded = answered[CLEAN]
    counted = [condition(name, each, None if name == CLEAN else recorded) for name, each in answered.items()]
    named = {label for each in recorded for label, _ in each.entry.ranking}
    by_speaker = speakers(recorded)
    return Report(
        model=identity.model,
        version=identity.version,
        through=identity.through,
        finished=now(),
        commit=git("rev-parse", "--short=12", "HEAD"),
        corpus=corpus.name,
        total=corpus.total,
        conditions=counted,
        speakers=by_speaker,
        strangers=[row.speaker for row in by_speaker if row.speaker not in named],
        failures=[
            Failure(clip=clip, condition=name, code=entry.error[0], message=entry.error[1])
            for (clip, name), entry in asked.items()
            if entry.error
        ],
        published=comparison(counted[0].top1, corpus, spec),
    )


def comparison(measured: Share, corpus: Corpus, spec: ModelSpec | None) -> Comparison | None:
    """Against the published figure in model.yaml, if that is of this data."""
    published = spec.published if spec is not None else None
    if published is None or published.dataset != corpus.name:
        return None
    return compare(measured, published.value, published.dataset, published.reported_by)


def read(path: Path) -> Report:
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise EvaluationError(f"{path} is no report of an evaluation: {exc}") from exc


def percent(share: Share) -> str:
    """`98.9 % (97.0–99.6 %)`: the share and its interval."""
    return f"{share.value:.1%} ({100 * share.low:.1f}–{share.high:.1%})".replace("%", " %")


def verdict(comparison: Comparison) -> str:
    """One sentence on a difference from the published figure."""
    points = f"{100 * comparison.difference:+.2f}".replace("-", "−")
    judged = "is significant" if comparison.significant else "is not significant"
    return (
        f"Published: {comparison.published:.2%} ({comparison.reported_by}). The difference of {points} points {judged} "
        f"(exact binomial test, p {chance(comparison.p_value)})."
    ).replace("%", " %")


def chance(p_value: float) -> str:
    """A p-value with its sign, no finer than anybody needs."""
    return f"= {p_value:.2g}" if p_value >= SMALLEST_P else f"< {SMALLEST_P:g}"
