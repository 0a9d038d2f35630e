"""Who is it, if anybody? Galleries of enrolled voices, and the guarded classifier, with strangers among the clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from speaker_id.calibrated import Maker
from speaker_id.confidence import METHODS, LabelMeans, confidence
from speaker_id.gallery import Gallery

from bundle.enrolment.enrol import Embedded, Enrolment, enrol
from bundle.enrolment.sounds import sounds as without_voice
from bundle.enrolment.trials import centroids
from measure.openset import RATES, measures
from measure.openset.heard import Heard, Model, Table, interval, of_clips
from training import SAMPLE_RATE
from training.evaluate import TONES_HZ
from training.voices import LABELS

GALLERIES, GALLERY_SIZE = 200, 6
NOTHING = torch.empty(0)  # what a gallery reads of the model's logits


def demo_gallery(enrolled: Heard, calibration: Heard, model: Model) -> Enrolment:
    voices: dict[str, list[Embedded]] = {}
    for clip, person in zip(enrolled.embedded(), enrolled.cuts.people, strict=True):
        voices.setdefault(person, []).append(clip)
    dim = enrolled.answers.vectors.shape[1]
    maker = Maker(model="demo", sha256="0" * 64, dim=dim)
    known = model(np.stack(list(without_voice(SAMPLE_RATE)))).vectors
    return enrol(voices, calibration.embedded(), maker, 0.01, known)


def in_gallery(enrolment: Enrolment, named: Heard, strangers: Heard) -> Table:
    """The named voices' gallery: its ranking, and its decisions at the threshold that it was enrolled with."""
    means = enrolment.gallery.vectors.numpy().astype(np.float64)
    mine, theirs = named.answers.vectors @ means.T, strangers.answers.vectors @ means.T
    owners = np.array([enrolment.gallery.labels.index(name) for name in named.cuts.people])
    right = mine.argmax(axis=1) == owners
    found = ranked(mine.max(axis=1), right, theirs.max(axis=1), named, strangers)
    gallery = enrolment.gallery
    passed_mine, passed_theirs = (
        probabilities(gallery, each).argmax(axis=1) < len(means) for each in (named, strangers)
    )
    found["detected"] = of_clips(named.cuts.people, right & passed_mine)
    found["false_alarms"] = of_clips(strangers.cuts.keys, passed_theirs)
    before = np.clip(np.concatenate([mine, theirs]).max(axis=1), 0, 1)
    neutral = [probabilities(gallery, each, min_score=0.5) for each in (named, strangers)]
    after = np.concatenate(neutral)[:, :-1].max(axis=1)
    truth = np.concatenate([right, np.zeros(len(theirs), bool)])
    people = [*named.cuts.keys, *strangers.cuts.keys]
    for name, values in (("ece_before", before), ("ece", after)):
        found[name] = interval([people], lambda rows, values=values: measures.ece(values[rows], truth[rows]))
    found["reliability"] = {
        "before": measures.reliability(before, truth),
        "after": measures.reliability(after, truth),
    }
    return found


def probabilities(gallery: Gallery, heard: Heard, min_score: float | None = None) -> NDArray[np.float64]:
    """(clips, voices + 1), as the gallery answers."""
    vectors = torch.from_numpy(heard.answers.vectors)
    logits = gallery.logits(NOTHING, vectors, min_score=min_score)
    return np.asarray(logits.double().softmax(1))


def guards(named: Heard, strangers: Heard, known: LabelMeans) -> Table:
    """The classifier of six voices, guarded by each method."""
    owners = np.array([LABELS.index(name) for name in named.cuts.people])
    right = named.answers.logits.argmax(1).numpy() == owners
    found: Table = {}
    for method in METHODS:
        mine, theirs = (
            confidence(method, each.answers.logits, each.answers.pooled, known).double().numpy()
            for each in (named, strangers)
        )
        found[method] = ranked(mine, right, theirs, named, strangers)
    return found


def ranked(
    mine: NDArray[np.float64],
    right: NDArray[np.bool_],
    theirs: NDArray[np.float64],
    named: Heard,
    strangers: Heard,
) -> Table:
    people = [named.cuts.people, strangers.cuts.keys]
    found = {
        "auroc": interval(people, lambda a, b: measures.auroc(mine[a], theirs[b])),
        "fpr95": interval(people, lambda a, b: measures.fpr_at_95(mine[a], theirs[b])),
    }
    for rate in RATES:
        found[f"dir@{rate:g}"] = interval(
            people, lambda a, b, rate=rate: measures.detection(mine[a], right[a], theirs[b], rate)
        )
    return found


@dataclass(frozen=True)
class Drawn:
    """A gallery of people never heard before.

    Attributes:
        chosen: places of its voices among those enrolled.
        own: (tested clips,), which are of its voices.
        outside: (strangers' clips,), which are of people who can be none of them.
        owners: (own clips,), places among `chosen`.
    """

    chosen: list[int]
    own: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    owners: NDArray[np.int64]

    def detection(self, mine: NDArray[np.float64], theirs: NDArray[np.float64], rate: float) -> float:
        """DIR at FPIR, of scores (clips, enrolled) of the tested clips and of strangers'."""
        scores = mine[self.own][:, self.chosen]
        right = scores.argmax(axis=1) == self.owners
        return measures.detection(
            scores.max(axis=1), right, theirs[self.outside][:, self.chosen].max(axis=1), rate
        )


def drawn(new: Heard, fresh: Heard, strangers: Heard) -> Iterator[Drawn]:
    """Galleries of people never heard before, drawn at random; the other people held out are their strangers."""
    rng = np.random.default_rng(0)
    names = list(new.by_person())
    keys = dict(zip(new.cuts.people, new.cuts.keys, strict=True))
    fresh_people, stranger_keys = np.asarray(fresh.cuts.people), np.asarray(strangers.cuts.keys)
    for _ in range(GALLERIES):
        chosen: list[int] = []
        for index in rng.permutation(len(names)):  # one of a group at most
            if keys[names[index]] not in {keys[names[other]] for other in chosen}:
                chosen.append(int(index))
            if len(chosen) == GALLERY_SIZE:
                break
        voices = [names[index] for index in chosen]
        own = np.isin(fresh_people, voices)
        yield Drawn(
            chosen,
            own,
            ~np.isin(stranger_keys, [keys[name] for name in voices]),
            np.array([voices.index(person) for person in fresh_people[own]]),
        )


def new_galleries(new: Heard, fresh: Heard, strangers: Heard) -> Table:
    means = centroids(list(new.by_person().values()))
    mine, theirs = fresh.answers.vectors @ means.T, strangers.answers.vectors @ means.T
    galleries = list(drawn(new, fresh, strangers))
    return {
        f"dir@{rate:g}": summary(np.array([each.detection(mine, theirs, rate) for each in galleries]))
        for rate in RATES
    }


def summary(values: NDArray[np.float64]) -> Table:
    """Of galleries: the mean, and the middle 95 %."""
    low, high = np.percentile(values, [2.5, 97.5])
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}


def sounds(enrolment: Enrolment, model: Model) -> Table:
    """Sounds without a voice: the share that the gallery calls unknown."""
    rng = np.random.default_rng(0)
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    probes = {
        "digital silence": [np.zeros(len(time))],
        "white noise": [level * rng.standard_normal(len(time)) for level in np.geomspace(0.001, 0.3, 20)],
        "pure tones, 60 to 4000 Hz": [0.3 * np.sin(2 * np.pi * hz * time) for hz in TONES_HZ],
        "hum, 50 Hz and harmonics": [sum(0.1 / k * np.sin(2 * np.pi * 50 * k * time) for k in range(1, 9))],
    }
    found = {}
    for name, waveforms in probes.items():
        vectors = model(np.stack(waveforms).astype(np.float32)).vectors
        answers = enrolment.gallery.logits(NOTHING, torch.from_numpy(vectors)).argmax(1)
        unknown = sum(int(answer) == len(enrolment.gallery.labels) - 1 for answer in answers)
        found[name] = {"clips": len(answers), "unknown": unknown}
    return found
