"""Is a voice one vector, or one for each condition that it was recorded in? People who were never heard, enrolled from
clips as recorded and through a telephone, tested in these conditions and in noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from bundle.enrolment.trials import Vectors, centroids, unit
from measure.openset import RATES, measures
from measure.openset.cuts import ENROL_CUT, Audio, Cuts, Voiced
from measure.openset.heard import Heard, Model, Table, interval
from measure.openset.identification import drawn, summary
from training.codecs import telephone
from training.waveform import Waveform

Change = Callable[[Waveform], Waveform]
SNR_DB = 10.0
LEAST = 2  # clips of a cluster
ROUNDS = 20  # of k-means, which ends long before


def noisy(waveform: Waveform) -> Waveform:
    """With white noise at `SNR_DB`, the same for all clips of one length."""
    noise = np.random.default_rng(0).standard_normal(len(waveform), np.float32)
    power = float(np.square(waveform).mean()) * 10 ** (-SNR_DB / 10)
    return np.asarray(waveform + noise * np.float32(np.sqrt(power)), np.float32)


CONDITIONS: dict[str, Change] = {
    "as recorded": lambda waveform: waveform,
    "telephone": telephone,
    "noise": noisy,
}
ENROLLED = ("as recorded", "telephone")


def clusters(clips: Vectors, most: int) -> Vectors:
    """Directions of k-means on the sphere, of at least `LEAST` clips each; the first is of the clip nearest to the
    mean, each further one of that farthest from those before."""
    count = min(most, len(clips) // LEAST)
    if count < 2:
        return centroids([clips])
    found = clips[[int((clips @ centroids([clips])[0]).argmax())]]
    while len(found) < count:
        found = np.vstack([found, clips[int((clips @ found.T).max(axis=1).argmin())]])
    for _ in range(ROUNDS):
        nearest = (clips @ found.T).argmax(axis=1)
        found = centroids([clips[nearest == each] for each in range(len(found)) if (nearest == each).any()])
    sizes = np.bincount((clips @ found.T).argmax(axis=1), minlength=len(found))
    return found[sizes >= LEAST] if (sizes >= LEAST).any() else centroids([clips])


def of_each(clips: Vectors, conditions: Sequence[str]) -> Vectors:
    """A centroid for each condition."""
    named = np.asarray(conditions)
    return centroids([clips[named == name] for name in dict.fromkeys(conditions)])


ONE = "one centroid"
WAYS: dict[str, Callable[[Vectors, Sequence[str]], Vectors]] = {
    ONE: lambda clips, _: centroids([clips]),
    "one centroid a condition": of_each,
    "k-means, at most 2": lambda clips, _: clusters(clips, 2),
    "k-means, at most 3": lambda clips, _: clusters(clips, 3),
    "every clip": lambda clips, _: unit(clips),
}


def conditions(audio: Audio, model: Model) -> Table:
    """Every way: EER, DIR of galleries drawn at random, and how both differ from one centroid."""
    new, kinds = changed(audio.new_enrol, model, ENROLLED, each=False)
    fresh, _ = changed(audio.new_test, model, tuple(CONDITIONS))
    strangers, _ = changed(audio.strangers, model, tuple(CONDITIONS))
    mine, theirs = ({way: matrix(each, new, kinds, way) for way in WAYS} for each in (fresh, strangers))
    names = list(new.by_person())
    keys = dict(zip(new.cuts.people, new.cuts.keys, strict=True))
    same = np.array([[person == name for name in names] for person in fresh.cuts.people])
    other = np.array([[key != keys[name] for name in names] for key in fresh.cuts.keys])
    galleries = list(drawn(new, fresh, strangers))
    found: Table = {}
    for way in WAYS:

        def eer(rows: NDArray[np.int64], way: str = way) -> float:
            scores = mine[way][rows]
            return measures.eer(scores[same[rows]], scores[other[rows]])

        found[way] = {
            "eer": interval([fresh.cuts.people], eer),
            "eer_change": interval([fresh.cuts.people], lambda rows: eer(rows) - eer(rows, ONE)),
        }
        for rate in RATES:
            values, base = (
                np.array([each.detection(mine[name], theirs[name], rate) for each in galleries])
                for name in (way, ONE)
            )
            found[way][f"dir@{rate:g}"] = summary(values)
            found[way][f"dir@{rate:g}_change"] = summary(values - base)
    return {
        "ways": found,
        "clips": {
            "enrolled": len(kinds),
            "tested": len(fresh.cuts.people),
            "strangers": len(strangers.cuts.people),
        },
    }


def changed(
    voices: Sequence[Voiced], model: Model, names: Sequence[str], each: bool = True
) -> tuple[Heard, list[str]]:
    """Clips in several conditions, and in which each is: every clip in all of them, or one in turn."""
    cuts = Cuts.of(voices, ENROL_CUT)
    kinds: list[str] = []
    if each:
        kinds = [name for name in names for _ in cuts.people]
        cuts = Cuts(
            cuts.people * len(names), cuts.keys * len(names), np.tile(cuts.waveforms, (len(names), 1))
        )
    else:
        turn = {person: cycle(names) for person in cuts.people}
        kinds = [next(turn[person]) for person in cuts.people]
    rows = [CONDITIONS[kind](row) for kind, row in zip(kinds, cuts.waveforms, strict=True)]
    cuts = replace(cuts, waveforms=np.stack(rows))
    return Heard(cuts, model(cuts.waveforms)), kinds


def matrix(tested: Heard, new: Heard, kinds: Sequence[str], way: str) -> NDArray[np.float64]:
    """(clips, voices): cosine to the nearest vector of each voice."""
    people, named = np.asarray(new.cuts.people), np.asarray(kinds)
    columns = []
    for person, vectors in new.by_person().items():
        rows = WAYS[way](vectors, named[people == person].tolist())
        columns.append((tested.answers.vectors @ rows.T).max(axis=1))
    return np.stack(columns, axis=1)
