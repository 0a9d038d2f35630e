"""A journal survives whatever ends its evaluation, and takes no answer of another model for its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from measure.evaluation import EvaluationError
from measure.evaluation.journal import Entry, Identity, journal

ANN = Identity("sid", "1.0", "endpoint", [("ann", 4.0), ("bob", -1.0)])
RIGHT = Entry("a.wav", "as recorded", 10, [("ann", 0.9), ("bob", 0.1)], None, 0.5)
FAILED = Entry("b.wav", "as recorded", 20, [], ("timed_out", "no answer"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "journal.jsonl"


def test_what_was_written_is_read_back(path: Path) -> None:
    with journal(path, ANN) as first:
        first.add(RIGHT)
        first.add(FAILED)
    with journal(path, ANN) as second:
        assert list(second.entries.values()) == [RIGHT, FAILED]


def test_an_answer_is_kept_and_a_failure_is_tried_again(path: Path) -> None:
    with journal(path, ANN) as opened:
        opened.add(RIGHT)
        opened.add(FAILED)
        assert opened.answered("a.wav", "as recorded", 10)
        assert not opened.answered("a.wav", "first 1 s", 10)
        assert not opened.answered("a.wav", "as recorded", 11), "another recording under the same name"
        assert not opened.answered("b.wav", "as recorded", 20)


def test_a_later_line_replaces_an_earlier_one(path: Path) -> None:
    with journal(path, ANN) as first:
        first.add(FAILED)
        first.add(replace(FAILED, ranking=[("bob", 1.0)], error=None))
    with journal(path, ANN) as second:
        (entry,) = second.entries.values()
        assert entry.error is None


@pytest.mark.parametrize("left", [b'{"clip": "c.w', b"{", b'{"clip": "c.wav", "condition": "as recorded"}'])
def test_half_a_line_is_what_a_killed_run_leaves_and_is_cut_off(path: Path, left: bytes) -> None:
    with journal(path, ANN) as first:
        first.add(RIGHT)
    whole = path.read_bytes()
    path.write_bytes(whole + left)
    with journal(path, ANN) as second:
        assert list(second.entries.values()) == [RIGHT]
        second.add(FAILED)
    assert path.read_bytes().startswith(whole + b'{"clip": "b.wav"')


def test_half_a_header_begins_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"model": "si')
    with journal(path, ANN) as opened:
        opened.add(RIGHT)
    with journal(path, ANN) as again:
        assert list(again.entries.values()) == [RIGHT]


@pytest.mark.parametrize(
    "other",
    [
        replace(ANN, version="2.0"),
        replace(ANN, model="other"),
        replace(ANN, through="local"),
        replace(ANN, probe=[("ann", 3.0), ("bob", -1.0)]),
        replace(ANN, probe=[("cal", 4.0)]),
    ],
)
def test_another_models_journal_is_refused(path: Path, other: Identity) -> None:
    with journal(path, ANN) as first:
        first.add(RIGHT)
    with pytest.raises(EvaluationError, match="another"), journal(path, other):
        pytest.fail("opened")
    with journal(path, ANN) as still:
        assert len(still.entries) == 1


def test_the_same_weights_on_another_processor_are_the_same_model(path: Path) -> None:
    with journal(path, ANN) as first:
        first.add(RIGHT)
    with journal(path, replace(ANN, probe=[("ann", 4.001), ("bob", -1.001)])) as second:
        assert len(second.entries) == 1


def test_two_evaluations_do_not_write_one_journal(path: Path) -> None:
    with (
        journal(path, ANN),
        pytest.raises(EvaluationError, match="another evaluation is writing"),
        journal(path, ANN),
    ):
        pytest.fail("opened")


def test_a_file_that_is_no_journal_is_named_with_its_line(path: Path) -> None:
    with journal(path, ANN) as first:
        first.add(RIGHT)
    path.write_bytes(path.read_bytes() + b"shopping list\n")
    with pytest.raises(EvaluationError, match="line 3 is not"), journal(path, ANN):
        pytest.fail("opened")
