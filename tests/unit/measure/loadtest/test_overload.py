"""Goodput, refusals and anything else, told apart by hand-made records."""

from __future__ import annotations

from measure.loadtest import page
from measure.loadtest.drive import Record
from measure.loadtest.overload import level
from measure.loadtest.page import cells


def record(due: float, took: float, status: int = 200, error: str | None = None) -> Record:
    return Record(due, due, due + took, status, "clip.wav", 5.0, "http://127.0.0.1:1", None, error)


RECORDS = [
    record(0.5, 1.0),  # due in the warm-up, answered in the window
    record(1.0, 0.5),
    record(2.0, 0.25),
    record(2.5, 1.5),  # due in the window of 1 to 3 s, answered after it
    record(2.0, 0.01, 429, "overloaded"),
    record(2.5, 0.02, 429, "overloaded"),
    record(2.9, 0.1, 500, "internal_error"),
    record(3.5, 0.1, 500, "internal_error"),  # after it
]


def test_goodput_counts_what_was_answered_in_the_window_and_refusals_apart_from_failures() -> None:
    found = level(RECORDS, 3.0, begin=1.0, end=3.0)
    assert (found.offered, found.goodput, found.refused) == (3.0, 1.5, 1.0)
    assert found.other_errors == {"internal_error": 1}
    assert (found.answered_p99, found.refused_p99) == (1.5, 0.02)


def test_a_level_without_refusals_shows_none() -> None:
    found = level(RECORDS[:4], 1.0, begin=1.0, end=3.0)
    assert found.refused_p99 is None
    assert cells(found) == ("1×", "1.5", "1.5", "0.0", "1.50 s", "", "0")


def test_the_document_is_the_recorded_results() -> None:
    written = page.PAGE.filled(page.text(page.RESULTS))
    assert page.PAGE.path.read_text("utf-8") == written, f"run python -m {page.PAGE.command}"
