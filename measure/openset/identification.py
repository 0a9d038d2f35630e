"""Who is it, if anybody? Galleries of enrolled voices, and the guarded classifier, with strangers among the clips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from speaker_id.gallery import Maker
from speaker_id.guard import METHODS, LabelMeans, confidence

from bundle.enrolment.calibration import Calibration
from bundle.enrolment.enrol import Embedded, Enrolment, enrol
from bundle.enrolment.trials import centroids
from measure.openset import RATES, measures
from measure.openset.heard import Heard, Model, Table, interval
from training import SAMPLE_RATE
from training.voices import LABELS

GALLERIES, GALLERY_SIZE = 200, 6


def demo_gallery(enrolled: Heard, calibration: Heard) -> Enrolment:
    voices: dict[str, list[Embedded]] = {}
    for clip, person in zip(enrolled.embedded(), enrolled.cuts.people, strict=True):
        voices.setdefault(person, []).append(clip)
    dim = enrolled.answers.vectors.shape[1]
    return enrol(voices, calibration.embedded(), Maker(model="demo", sha256="0" * 64, dim=dim), 0.01)


def in_gallery(enrolment: Enrolment, named: Heard, strangers: Heard) -> Table:
    """The named voices' gallery: its ranking, and its decisions at the threshold that it was enrolled with."""
    means = enrolment.gallery.vectors.numpy().astype(np.float64)
    threshold = enrolment.gallery.threshold()
    mine, theirs = named.answers.vectors @ means.T, strangers.answers.vectors @ means.T
    owners = np.array([enrolment.gallery.labels.index(name) for name in named.cuts.people])
    right = mine.argmax(axis=1) == owners
    found = ranked(mine.max(axis=1), right, theirs.max(axis=1), named, strangers)
    found["detected"] = interval(
        [named.cuts.people], lambda rows: float((right & (mine.max(axis=1) > threshold))[rows].mean())
    )
    found["false_alarms"] = interval(
        [strangers.cuts.keys], lambda rows: float((theirs.max(axis=1) > threshold)[rows].mean())
    )
    slope, neutral = enrolment.gallery.manifest.slope, enrolment.gallery.manifest.neutral
    before = np.clip(np.concatenate([mine, theirs]).max(axis=1), 0, 1)
    after = Calibration(slope, neutral).probabilities(np.concatenate([mine, theirs]))[:, :-1].max(axis=1)
    truth = np.concatenate([right, np.zeros(len(theirs), bool)])
    people = [*named.cuts.keys, *strangers.cuts.keys]
    for name, values in (("ece_before", before), ("ece", after)):
        found[name] = interval([people], lambda rows, values=values: measures.ece(values[rows], truth[rows]))
    found["reliability"] = {
        "before": measures.reliability(before, truth),
        "after": measures.reliability(after, truth),
    }
    return found


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


def new_galleries(new: Heard, fresh: Heard, strangers: Heard) -> Table:
    """Galleries of people never heard before, drawn at random; the other people held out are their strangers."""
    rng = np.random.default_rng(0)
    models = new.by_person()
    keys = dict(zip(new.cuts.people, new.cuts.keys, strict=True))
    names = list(models)
    means = centroids(list(models.values()))
    mine = fresh.answers.vectors @ means.T
    theirs = strangers.answers.vectors @ means.T
    fresh_people, stranger_keys = np.asarray(fresh.cuts.people), np.asarray(strangers.cuts.keys)
    found: dict[str, list[float]] = {f"dir@{rate:g}": [] for rate in RATES}
    for _ in range(GALLERIES):
        drawn = rng.permutation(len(names))
        chosen: list[int] = []
        for index in drawn:  # one of a group at most
            if keys[names[index]] not in {keys[names[other]] for other in chosen}:
                chosen.append(int(index))
            if len(chosen) == GALLERY_SIZE:
                break
        own = np.isin(fresh_people, [names[index] for index in chosen])
        outside = ~np.isin(stranger_keys, [keys[names[index]] for index in chosen])
        scores = mine[own][:, chosen]
        right = np.array([names[chosen[place]] for place in scores.argmax(axis=1)]) == fresh_people[own]
        for rate in RATES:
            best = theirs[outside][:, chosen].max(axis=1)
            found[f"dir@{rate:g}"].append(measures.detection(scores.max(axis=1), right, best, rate))
    return {
        name: dict(
            zip(
                ("value", "low", "high"),
                map(float, (np.mean(each), *np.percentile(each, [2.5, 97.5]))),
                strict=True,
            )
        )
        for name, each in found.items()
    }


def sounds(enrolment: Enrolment, model: Model) -> Table:
    """Sounds without a voice: the share that the gallery calls unknown."""
    rng = np.random.default_rng(0)
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    probes = {
        "digital silence": [np.zeros(len(time))],
        "white noise": [level * rng.standard_normal(len(time)) for level in np.geomspace(0.001, 0.3, 20)],
        "pure tones, 100 to 2000 Hz": [
            0.3 * np.sin(2 * np.pi * hz * time) for hz in (100, 220, 440, 1000, 2000)
        ],
        "hum, 50 Hz and harmonics": [sum(0.1 / k * np.sin(2 * np.pi * 50 * k * time) for k in range(1, 9))],
    }
    found = {}
    for name, waveforms in probes.items():
        vectors = model(np.stack(waveforms).astype(np.float32)).vectors
        best = (vectors @ enrolment.gallery.vectors.numpy().T).max(axis=1)
        found[name] = {"clips": len(best), "unknown": int((best <= enrolment.gallery.threshold()).sum())}
    return found
