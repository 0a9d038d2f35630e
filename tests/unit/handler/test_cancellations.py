"""What a worker knows of callers that hung up: the gateway appends, the worker reads what is new."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from speaker_id import cancellations
from speaker_id.cancellations import FILE_VARIABLE, Cancellations


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    named = tmp_path / "cancelled"
    monkeypatch.setenv(FILE_VARIABLE, str(named))
    return named


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


def test_a_request_is_cancelled_once_its_whole_line_is_there(file: Path) -> None:
    found = Cancellations.from_environment()
    assert "1.5 20 7" not in found, "there is no file yet"
    append(file, "1.5 20 7")
    assert "1.5 20 7" not in found, "the line may go on"
    append(file, "1\n1.6 0 8\n")
    assert "1.5 20 7" not in found
    assert "1.5 20 71" in found
    assert "1.6 0 8" in found
    assert "" not in found


def test_who_starts_later_reads_what_was_cancelled_before(file: Path) -> None:
    append(file, "1.5 20 7\n")
    assert "1.5 20 7" in Cancellations.from_environment()


@pytest.mark.parametrize("anew", [False, True], ids=["truncated", "another file"])
def test_what_was_read_is_remembered_when_the_file_is_emptied(file: Path, anew: bool) -> None:
    append(file, "1.5 20 7\n")
    found = Cancellations.from_environment()
    assert "1.5 20 7" in found
    if anew:
        append(file.with_suffix(".new"), "1.6 0 8, longer than it was\n")
        file.with_suffix(".new").replace(file)
        assert "1.6 0 8, longer than it was" in found
    else:
        os.truncate(file, 0)
        append(file, "1.6\n")
        assert "1.6" in found
    assert "1.5 20 7" in found


def test_memory_is_bounded_whatever_is_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellations, "KEPT", 3)
    monkeypatch.setattr(cancellations, "MOST_BYTES", 8)
    found = Cancellations.from_environment()
    for number in range(9):
        append(file, f"{number}\n")
        assert str(number) in found
    assert [number for number in range(9) if str(number) in found] == [6, 7, 8]
    append(file, "a\nb\nc\nd\ne\nf\n")  # of more than is read at once, the newest
    assert [name for name in "abcdef" if name in found] == ["d", "e", "f"]
    append(file, "x" * 100)
    assert "f" in found
    assert len(found._rest) == 8


def test_without_a_file_nothing_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    assert "1.5 20 7" not in Cancellations.from_environment()


def test_a_file_that_cannot_be_read_costs_no_batch(tmp_path: Path) -> None:
    tmp_path.joinpath("a file").touch()
    for unreadable in (tmp_path, tmp_path / "a file" / "beneath"):
        assert "1.5 20 7" not in Cancellations(unreadable)
