"""Answers to labelled clips and to strangers → a guard of a closed-set head, and what was measured of each method.

Known clips are compared with means that they are not part of: the label means are fitted again without each fold, and
those of strangers without each person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import torch
from numpy.typing import NDArray
from speaker_id.calibrated import Calibrated, Maker
from speaker_id.confidence import METHODS, LabelMeans, confidence
from speaker_id.guard import Guard, GuardManifest
from speaker_id.manifest import Method
from torch import Tensor

from bundle.enrolment.calibration import (
    COSINE,
    ENDLESS,
    Scale,
    Scores,
    check_enough,
    fit,
    passing,
    thresholds,
)
from bundle.enrolment.intervals import Interval, share

FOLDS = 10
ALIKE = 1e-3  # embeddings of sounds that are one


@dataclass(frozen=True)
class Answered:
    """Clips, and what the head makes of them.

    Attributes:
        people: whose each is; of known clips, its label.
        logits: (clips, labels).
        embeddings: (clips, width), the head's own, not normalised.
    """

    people: tuple[str, ...]
    logits: Tensor
    embeddings: Tensor


@dataclass(frozen=True)
class Heard:
    """What a guard is made from.

    Attributes:
        known: clips of every label, at least two of each.
        strangers: clips of none of them.
        sounds: without a voice.
    """

    known: Answered
    strangers: Answered
    sounds: Answered


@dataclass(frozen=True)
class Measured:
    """One method at the wanted rate.

    Attributes:
        named: known clips that get their label, by means that they are not part of.
        false_alarms: strangers' clips that get a label, each person's with a threshold from the others.
        sounds: of those without a voice, that are unknown, each without itself.
        observed: whether enough strangers were heard for the rate.
    """

    named: Interval
    false_alarms: Interval
    sounds: int
    observed: bool


@dataclass(frozen=True)
class Guarding:
    """A guard, and its measures.

    Attributes:
        closed: known clips whose label is the best, with no guard.
    """

    guard: Guard
    closed: Interval
    methods: dict[Method, Measured]

    def best(self) -> Method:
        """The method that names most known clips at the wanted rate."""
        return max(self.methods, key=lambda method: self.methods[method].named.value)


def calibrate(
    heard: Heard, labels: Sequence[str], made: Maker, fpir: float, date: str | None = None
) -> Guarding:
    """Build a guard.

    Args:
        labels: the head's, in the logits' order.
        made: the head.
        fpir: wanted share of strangers' clips that get a label.

    Raises:
        BundleError: there are too few strangers to place a threshold.
    """
    known, strangers = heard.known, heard.strangers
    check_enough(len(strangers.people))
    owners = torch.tensor([labels.index(person) for person in known.people])
    sounds = distinct(heard.sounds.embeddings)
    means = LabelMeans.fit(known.embeddings, owners, torch.cat([strangers.embeddings, sounds]))
    right = (known.logits.argmax(1) == owners).numpy()
    mine, theirs = left_out(heard, owners), others_left_out(heard, owners)
    scores = {method: (mine[method], theirs[method]) for method in METHODS}
    found = {method: calibrated(method, *scores[method], known, strangers) for method in METHODS}
    manifest = GuardManifest(
        made=made,
        labels=len(labels),
        clips=len(known.people),
        strangers=len(strangers.people),
        people=len(set(strangers.people)),
        calibrated=date or datetime.now(timezone.utc).date().isoformat(),
        methods=found,
    )
    guard = Guard(manifest, means, sounds.float())
    return Guarding(
        guard,
        share(known.people, right),
        {method: measured(guard, method, fpir, scores[method], right, heard) for method in METHODS},
    )


def scored(method: Method, clips: Answered, means: LabelMeans) -> NDArray[np.float64]:
    """(clips,)."""
    found = confidence(method, clips.logits, clips.embeddings, means)
    return np.asarray(found.double().numpy())


def distinct(sounds: Tensor) -> Tensor:
    """(sounds, width) without repetitions: a model that normalises hears one noise at every level."""
    kept: list[Tensor] = []
    for each in sounds:
        if not any(torch.allclose(each, other, rtol=ALIKE, atol=ALIKE) for other in kept):
            kept.append(each)
    return torch.stack(kept) if kept else sounds


def left_out(heard: Heard, owners: Tensor) -> dict[Method, NDArray[np.float64]]:
    """(clips,) by each method: scores of known clips, by means that a clip is not part of."""
    places = torch.zeros_like(owners)  # of each clip among those of its label
    for owner in range(int(owners.max()) + 1):
        places[owners == owner] = torch.arange(int((owners == owner).sum()))
    folds = places % min(FOLDS, int(torch.bincount(owners).min()))
    known, others = heard.known, torch.cat([heard.strangers.embeddings, heard.sounds.embeddings])

    def fit(out: Tensor) -> LabelMeans:
        return LabelMeans.fit(known.embeddings[~out], owners[~out], others)

    return in_parts(known, folds, fit)


def others_left_out(heard: Heard, owners: Tensor) -> dict[Method, NDArray[np.float64]]:
    """(clips,) by each method: scores of strangers, each person compared with the other strangers."""
    strangers = heard.strangers
    names = sorted(set(strangers.people))
    people = torch.tensor([names.index(name) for name in strangers.people])

    def fit(out: Tensor) -> LabelMeans:
        rest = strangers.embeddings if out.all() else strangers.embeddings[~out]
        return LabelMeans.fit(heard.known.embeddings, owners, torch.cat([rest, heard.sounds.embeddings]))

    return in_parts(strangers, people, fit)


def in_parts(
    clips: Answered, parts: Tensor, fit: Callable[[Tensor], LabelMeans]
) -> dict[Method, NDArray[np.float64]]:
    """Scores of clips, each part's by what `fit` makes without it."""
    found = {method: np.zeros(len(parts)) for method in METHODS}
    for part in sorted(set(parts.tolist())):
        out = parts == part
        means, inside = fit(out), Answered((), clips.logits[out], clips.embeddings[out])
        for method, scores in found.items():
            scores[out.numpy()] = scored(method, inside, means)
    return found


def calibrated(
    method: Method, mine: Scores, theirs: Scores, known: Answered, strangers: Answered
) -> Calibrated:
    """Slope and neutral threshold by maximum likelihood, and thresholds, of scores of any unit.

    All labels together have exp(slope · score) / p times the odds that "unknown" has at the threshold, where p is the
    largest of their probabilities: see `guard`.
    """
    everything = np.concatenate([mine, theirs])
    middle, spread = float(everything.mean()), float(everything.std()) or 1.0
    parts = tuple(
        -each.logits.double().log_softmax(1).amax(1, keepdim=True).numpy() for each in (known, strangers)
    )
    found = fit(
        ((mine - middle) / spread)[:, None],
        np.zeros(len(mine), np.int64),
        ((theirs - middle) / spread)[:, None],
        (parts[0], parts[1]),
    )
    return Calibrated(
        slope=found.slope / spread,
        neutral=middle + spread * found.neutral,
        thresholds=thresholds(theirs, scale=scale(method)),
    )


def scale(method: Method) -> Scale:
    return COSINE if method == "cosine" else ENDLESS


def measured(
    guard: Guard,
    method: Method,
    fpir: float,
    scores: tuple[Scores, Scores],
    right: NDArray[np.bool_],
    heard: Heard,
) -> Measured:
    """One method of a guard.

    Args:
        scores: of the known clips and of the strangers'.
        right: (known clips,), whose label is the best.
    """
    (mine, theirs), known, strangers = scores, heard.known, heard.strangers
    threshold = guard.manifest.methods[method].threshold(fpir)
    like, unlike = (guard.soundlike(method, each.embeddings).double().numpy() for each in (known, strangers))
    named = right & (mine > np.maximum(threshold, like))
    passed = passing(theirs, strangers.people, fpir, scale(method), unlike)
    return Measured(
        share(known.people, named),
        share(strangers.people, passed),
        unknown_sounds(guard, method, threshold, heard.sounds),
        next(
            (each.observed for each in guard.manifest.methods[method].thresholds if each.fpir <= fpir),
            False,
        ),
    )


def unknown_sounds(guard: Guard, method: Method, threshold: float, sounds: Answered) -> int:
    """How many of the sounds are unknown to a guard that does not have the one that is asked about."""
    scores = scored(method, sounds, guard.known)
    count = 0
    for index, score in enumerate(scores):
        asked = sounds.embeddings[index : index + 1]
        rest = ~torch.isclose(guard.sounds, asked, rtol=ALIKE, atol=ALIKE).all(1)
        other = Guard(guard.manifest, guard.known, guard.sounds[rest])
        like = float(other.soundlike(method, asked))
        count += score <= max(threshold, like)
    return count
