"""Whose voices train, calibrate and are held out: nobody stands on two sides, and licences allow what is done."""

import re
from pathlib import Path

import numpy as np
import pytest

from training import SAMPLE_RATE, people_corpus
from training.people import CALIBRATION, HELD_OUT, PACKAGES, PEOPLE, ROLES, TRAIN, of_role
from training.people_corpus import trimmed
from training.voices import LABELS, VOICES

TRAINABLE = {"GPL-2+", "GPL-3 or LGPL-3", "CC-BY-3.0"}  # what weights under GPL-3 may learn from


def test_every_person_is_there_once_under_a_name_of_their_own() -> None:
    names = [person.speaker for person in PEOPLE]
    assert len(set(names)) == len(names)
    assert not set(names) & set(LABELS)


def test_who_may_be_one_person_has_one_role() -> None:
    for key in {person.key for person in PEOPLE}:
        assert len({person.role for person in PEOPLE if person.key == key}) == 1


def test_volunteers_of_a_held_out_language_are_held_out_in_every_package() -> None:
    volunteers = [
        person for person in PEOPLE if person.speaker.startswith(("tuxpaint", "klettres", "ktuberling"))
    ]
    for role in (CALIBRATION, HELD_OUT):
        here = {person.language for person in volunteers if person.role == role}
        assert not here & {person.language for person in volunteers if person.role != role}


def test_fifteen_people_at_least_are_held_out_whole() -> None:
    assert len({person.key for person in of_role(HELD_OUT)}) >= 15


def test_only_licences_that_allow_it_train() -> None:
    assert {person.licence for person in of_role(TRAIN)} <= TRAINABLE
    assert {person.role for person in PEOPLE} == set(ROLES)


def test_every_package_is_pinned_and_used() -> None:
    assert {package.name for package in PACKAGES} == {person.package for person in PEOPLE}
    assert not {package.name for package in PACKAGES} & {voice.package for voice in VOICES}
    assert all(re.fullmatch("[0-9a-f]{64}", package.sha256) for package in PACKAGES)


def test_silence_at_the_ends_is_cut_to_a_short_pause() -> None:
    loud = np.sin(np.arange(SAMPLE_RATE) / 5).astype(np.float32)
    quiet = np.zeros(SAMPLE_RATE, np.float32)
    assert len(trimmed(np.concatenate([quiet, loud, quiet]))) == pytest.approx(1.2 * SAMPLE_RATE, abs=640)
    assert len(trimmed(quiet)) == 0


def test_short_words_are_joined_until_a_clip_is_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = np.full(SAMPLE_RATE, 0.5, np.float32)
    monkeypatch.setattr(people_corpus, "words", lambda *_: ((f"w{number}", second) for number in range(7)))
    found = people_corpus.clips(PEOPLE[0], tmp_path)
    assert [(name, len(pcm) // SAMPLE_RATE) for name, pcm in found] == [("w0", 3), ("w3", 3), ("w6", 1)]


def test_the_table_of_people_is_of_these() -> None:
    written = people_corpus.PAGE.read_text().partition(people_corpus.BEGIN)[2].partition(people_corpus.END)[0]
    rows = [line.split(" | ") for line in written.splitlines()[3:]]
    versions = {package.name: package.version for package in PACKAGES}
    expected = {
        (person.role, person.speaker, person.package, versions[person.package], person.licence)
        for person in PEOPLE
    }
    assert {
        (row[0].removeprefix("| "), row[1].strip("`"), row[4].strip("`"), row[5].strip("`"), row[6])
        for row in rows
    } == expected
