"""The list of formats is the only one: documents, messages, suffixes and test recordings are held to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from speaker_id.audio.formats import FORMATS, SUFFIXES, Format, by_signature

import bundle.precision
import clients.identify
from tests.unit.audio.recordings import FORMATS as RECORDINGS
from tests.unit.audio.recordings import hear, recording

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "audio.md").read_text("utf-8")
# format → the recordings of it, where their names do not begin with the format's
NAMED = {
    "WAV": ("WAV", "RF64", "BW64"),
    "AIFF": ("AIFF", "AIFC"),
    "MP4": ("M4A", "MP4", "MOV", "3GP"),
    "WebM/Matroska": ("WebM", "Matroska"),
    "AAC": ("ADTS",),
}


def row(form: Format) -> str:
    return f"| {form.name} | {form.content} | {' '.join(f'`{suffix}`' for suffix in form.suffixes)} |"


def test_the_pages_table_is_the_list() -> None:
    table = re.search(r"<!-- formats -->\n(.*?)<!-- end of formats -->", PAGE, re.DOTALL)
    assert table is not None
    rows = [
        line for line in table[1].splitlines() if line.startswith("| ") and not line.startswith("| format")
    ]
    assert rows == [row(form) for form in FORMATS]


def test_the_readme_names_every_format() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (audio,) = re.findall(r"^- \*\*Audio\*\*: (.*?)^- ", readme, re.MULTILINE | re.DOTALL)
    assert [form.name for form in FORMATS if form.name not in " ".join(audio.split())] == []


def test_the_client_takes_the_files_of_every_format_from_a_folder() -> None:
    assert frozenset(clients.identify.SUFFIXES) == SUFFIXES, (
        "it imports nothing of ours, and so has a list of its own"
    )


def test_the_precision_check_does_too() -> None:
    assert bundle.precision.SUFFIXES is SUFFIXES


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
