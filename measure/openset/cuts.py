"""The corpora that `training` built → clips of equal length, by what each person may be used for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import SAMPLE_RATE, corpus, people_corpus
from training.corpus import Clip, Corpus
from training.people import CALIBRATION, HELD_OUT, Person
from training.voices import LABELS

Voiced = tuple[str, str, NDArray[np.float32]]  # person, key, samples
Waveforms = NDArray[np.float32]  # (clips, samples)

MOST = 16  # clips of one person, length and use: the longest voices must not outweigh the others
ENROL_SECONDS = 30.0  # of a voice
LEAST_SECONDS = 20.0  # of a voice that is both enrolled and tested
ENROL_CUT = 3  # seconds of an enrolment clip


@dataclass(frozen=True)
class Cuts:
    """Clips of one length: whose each is, and who may be one with them."""

    people: tuple[str, ...]
    keys: tuple[str, ...]
    waveforms: Waveforms

    @classmethod
    def of(cls, voices: Iterable[Voiced], seconds: float) -> Cuts:
        """From (person, key, samples): neighbouring windows, at most `MOST` a person, spread over the samples."""
        people, keys, rows = [], [], []
        size = int(seconds * SAMPLE_RATE)
        for person, key, samples in voices:
            count = len(samples) // size
            for index in (
                sorted({round(place) for place in np.linspace(0, count - 1, min(count, MOST))})
                if count
                else ()
            ):
                people.append(person)
                keys.append(key)
                rows.append(samples[index * size : (index + 1) * size])
        return cls(tuple(people), tuple(keys), np.stack(rows) if rows else np.zeros((0, size), np.float32))


@dataclass(frozen=True)
class Audio:
    """Everybody's samples by use; (person, key, samples) each."""

    named_enrol: list[Voiced]
    named_test: list[Voiced]
    calibration: list[Voiced]
    strangers: list[Voiced]  # all held out
    new_enrol: list[Voiced]  # the first part of those held out who have enough
    new_test: list[Voiced]  # their rest


def load(work: Path) -> Audio:
    """What `python -m training.people_corpus` and `python -m training.corpus` left in `work`."""
    named, others = corpus.load(work), people_corpus.load(work)
    enrol: list[Voiced] = []
    test: list[Voiced] = []
    for label in LABELS:
        for split, into, most in (("train", enrol, 2 * ENROL_SECONDS), ("test", test, np.inf)):
            clips = [clip for clip in named.select(split) if clip.voice.speaker == label]
            # two languages of one person alternate
            clips.sort(key=lambda clip: (clip.prompt, clip.voice.folder))
            into.append((label, label, _joined(named, clips, most)))
    held_out = [(person, _of(others, person)) for person in _people(others, HELD_OUT)]
    enough = [
        (person, samples) for person, samples in held_out if len(samples) >= LEAST_SECONDS * SAMPLE_RATE
    ]
    parts = [
        (person, samples, int(min(ENROL_SECONDS * SAMPLE_RATE, len(samples) / 2)))
        for person, samples in enough
    ]
    return Audio(
        enrol,
        test,
        [(person.speaker, person.key, _of(others, person)) for person in _people(others, CALIBRATION)],
        [(person.speaker, person.key, samples) for person, samples in held_out],
        [(person.speaker, person.key, samples[:half]) for person, samples, half in parts],
        [(person.speaker, person.key, samples[half:]) for person, samples, half in parts],
    )


def _people(source: Corpus, role: str) -> list[Person]:
    found = {clip.voice: None for clip in source.clips if clip.split == role}
    return [person for person in found if isinstance(person, Person)]


def _of(source: Corpus, person: Person) -> NDArray[np.float32]:
    return _joined(source, [clip for clip in source.clips if clip.voice == person])


def _joined(source: Corpus, clips: Iterable[Clip], most: float = np.inf) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    seconds = 0.0
    for clip in clips:
        parts.append(source.waveform(clip))
        seconds += clip.seconds
        if seconds >= most:
            break
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
