"""The list of formats is the only one: suffixes and test recordings are held to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from speaker_id.audio.formats import FORMATS, SUFFIXES, Format, by_signature

import clients.identify
from bundle import samples
from tests.unit.handler.audio.recordings import FORMATS as RECORDINGS
from tests.unit.handler.audio.recordings import hear, recording

# format → the recordings of it, where their names do not begin with the format's
NAMED = {
    "WAV": ("WAV", "RF64", "BW64"),
    "AIFF": ("AIFF", "AIFC"),
    "MP4": ("M4A", "MP4", "MOV", "3GP"),
    "WebM/Matroska": ("WebM", "Matroska"),
    "AAC": ("ADTS",),
}


def test_the_client_takes_the_files_of_every_format_from_a_folder() -> None:
    assert frozenset(clients.identify.SUFFIXES) == SUFFIXES, (
        "it imports nothing of ours, and so has a list of its own"
    )


def test_the_precision_check_does_too(tmp_path: Path) -> None:
    files = [tmp_path / f"clip{suffix}" for suffix in SUFFIXES]
    for file in [*files, tmp_path / "notes.txt"]:
        file.touch()
    assert samples.recordings("CALIBRATION", tmp_path) == sorted(files)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_each_format_has_recordings_that_are_sniffed_as_it_and_heard(form: Format) -> None:
    names = [name for name in RECORDINGS if name.startswith(NAMED.get(form.name, (form.name,)))]
    assert names
    for name in names:
        body = recording(name, 0.5)
        found = by_signature(body)
        assert found is (form if form.signature else None) or body.startswith(b"ID3")
        assert len(hear(body)) >= 8_000


def test_every_recording_is_of_a_format() -> None:
    prefixes = tuple(prefix for form in FORMATS for prefix in NAMED.get(form.name, (form.name,)))
    assert [name for name in RECORDINGS if not name.startswith(prefixes)] == []
