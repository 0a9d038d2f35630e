"""Embeddings of enrolled voices and of strangers → a gallery, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import torch
from numpy.typing import NDArray
from speaker_id.calibrated import Maker
from speaker_id.gallery import Gallery
from speaker_id.gallery_manifest import GalleryManifest, Voice

from bundle import BundleError
from bundle.enrolment import trials
from bundle.enrolment.calibration import Calibration, check_enough, fit, passing, thresholds
from bundle.enrolment.intervals import Interval, share

# of the enrolled clips: the most that sounds together may be nearer to than their own voices are
OUTVOTED = 0.05


@dataclass(frozen=True)
class Embedded:
    """One clip's embedding: whose it is, its name for reports, its seconds of speech."""

    person: str
    name: str
    speech: float
    vector: NDArray[np.float64]


@dataclass(frozen=True)
class Doubt:
    """A clip that does not match its own voice: its score there, and the voice that it is nearest to."""

    voice: str
    clip: str
    score: float
    nearest: str


@dataclass(frozen=True)
class Enrolment:
    """A gallery and its measures, each clip left out of its own voice.

    Attributes:
        detected: genuine clips that are named, and rightly, at the gallery's threshold.
        false_alarms: strangers' clips that are named, each person's with a threshold from the others.
        genuine, strangers: trials.
        people: strangers; 0 where the enrolled voices stood in for them.
        doubts: clips to listen to.
        unheard: sounds without a voice that lie amidst the voices, and may therefore be named.
    """

    gallery: Gallery
    detected: Interval
    false_alarms: Interval
    genuine: int
    strangers: int
    people: int
    doubts: tuple[Doubt, ...]
    unheard: int


def enrol(
    voices: Mapping[str, Sequence[Embedded]],
    strangers: Sequence[Embedded],
    made: Maker,
    fpir: float,
    sounds: NDArray[np.float64],
    date: str | None = None,
) -> Enrolment:
    """Build a gallery.

    Args:
        voices: clips by label; `recordings` has checked that there are enough.
        strangers: clips of others; empty lets each enrolled voice be a stranger to the rest.
        made: the model.
        sounds: (sounds, dim), embeddings of sounds without a voice, of unit length.
        fpir: wanted false-positive identification rate, of strangers' clips.

    Raises:
        BundleError: there are too few strangers to place a threshold.
    """
    check_strangers(voices, strangers)
    names = sorted(voices)
    clips = [clip for name in names for clip in voices[name]]
    stacked = [np.stack([clip.vector for clip in voices[name]]) for name in names]
    scores, owners = trials.genuine(stacked)
    if strangers:
        outside = trials.strangers(stacked, np.stack([clip.vector for clip in strangers]))
    else:
        outside = trials.against_each_other(stacked)
    heard = strangers or clips
    others = [clip.person for clip in heard]
    calibration = fit(scores, owners, outside)
    best = outside.max(axis=1)
    manifest = GalleryManifest(
        made=made,
        voices=tuple(_voice(name, voices[name], date) for name in names),
        fpir=fpir,
        slope=calibration.slope,
        neutral=calibration.neutral,
        thresholds=thresholds(best),
    )
    vectors = torch.from_numpy(trials.centroids(stacked)).float()
    kept = apart(clips, sounds, scores[np.arange(len(clips)), owners])
    gallery = Gallery(
        manifest,
        torch.nn.functional.normalize(vectors, dim=1),
        torch.arange(len(names)),
        torch.from_numpy(kept).float(),
    )
    return Enrolment(
        gallery,
        _detected(
            scores,
            owners,
            [names[owner] for owner in owners],
            np.maximum(gallery.threshold(), likeness(clips, kept)),
        ),
        share(others, passing(best, others, fpir, floor=likeness(heard, kept))),
        len(scores),
        len(outside),
        len(set(others)) if strangers else 0,
        _doubts(clips, scores, owners, names, calibration),
        len(sounds) - len(kept),
    )


def check_strangers(voices: Mapping[str, Sized], strangers: Sized) -> None:
    """Raise BundleError for too few clips of strangers to place a threshold; needs no clip's embedding."""
    if len(voices) < 2 and not len(strangers):
        raise BundleError(
            "one voice alone has no strangers: give some, STRANGERS=folder of others' recordings"
        )
    check_enough(len(strangers) or sum(map(len, voices.values())))


def apart(
    clips: Sequence[Embedded], sounds: NDArray[np.float64], own: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The sounds, of shape (sounds, dim), that lie apart from the voices: clips are nearer to their own voice.

    An embedding that no sound trained may put some amidst voices. As vectors of "unknown" they would refuse their
    clips. Those that outvote fewest are kept first.

    Args:
        own: cosine of each clip to its own voice.
    """
    outvotes = np.stack([clip.vector for clip in clips]) @ sounds.T >= own[:, None]
    kept, outvoted = [], np.zeros(len(clips), bool)
    for index in np.argsort(outvotes.sum(axis=0), kind="stable"):
        if (outvoted | outvotes[:, index]).mean() <= OUTVOTED:
            kept.append(index)
            outvoted |= outvotes[:, index]
    return np.asarray(sounds[np.array(sorted(kept), int)])


def likeness(clips: Sequence[Embedded], sounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(clips,): cosine to the nearest of the sounds without a voice; -1 where there is none."""
    cosines = np.stack([clip.vector for clip in clips]) @ sounds.T
    return np.asarray(cosines.max(axis=1, initial=-1.0))


def _voice(name: str, clips: Sequence[Embedded], date: str | None) -> Voice:
    today = date or datetime.now(timezone.utc).date().isoformat()
    return Voice(
        label=name, clips=len(clips), seconds=round(sum(clip.speech for clip in clips), 1), enrolled=today
    )


def _detected(
    scores: NDArray[np.float64],
    owners: NDArray[np.int64],
    people: Sequence[str],
    unknown: NDArray[np.float64],
) -> Interval:
    right = (scores.argmax(axis=1) == owners) & (scores.max(axis=1) > unknown)
    return share(people, right)


def _doubts(
    clips: Sequence[Embedded],
    scores: NDArray[np.float64],
    owners: NDArray[np.int64],
    names: Sequence[str],
    calibration: Calibration,
) -> tuple[Doubt, ...]:
    found = []
    for clip, row, owner in zip(clips, scores, owners, strict=True):
        nearest = int(row.argmax())
        if nearest != owner or row[owner] < calibration.neutral:
            found.append(Doubt(names[owner], clip.name, float(row[owner]), names[nearest]))
    return tuple(sorted(found, key=lambda doubt: doubt.score))
