"""Rows go to the CSV and come back; only whole runs are quoted."""

from pathlib import Path

import pytest

from measure.results import ENCODER_FILE, GROWTH_FILE, Row, append, newest, ratio, read
from tests.unit.measure.bench.rows import growth, row


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    written = [row(), row(engine="pipeline-8", ratio_same_layout=None, latency_3s=None, dirty=True)]
    append(tmp_path / ENCODER_FILE, written[:1])
    append(tmp_path / ENCODER_FILE, written[1:])
    assert read(tmp_path / ENCODER_FILE, Row) == written


def test_the_ratio_is_the_first_column(tmp_path: Path) -> None:
    append(tmp_path / ENCODER_FILE, [row()])
    assert (tmp_path / ENCODER_FILE).read_text().startswith("ratio_same_layout,ratio_best,engine,")


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / ENCODER_FILE).write_text("speed\n3\n")
    with pytest.raises(ValueError, match=r"encoder\.csv has other columns"):
        append(tmp_path / ENCODER_FILE, [row()])
    assert (tmp_path / ENCODER_FILE).read_text() == "speed\n3\n"


def test_the_newest_complete_run_is_quoted(tmp_path: Path) -> None:
    older, newer, partial = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z", "2030-01-03T00:00:00Z"
    append(
        tmp_path / ENCODER_FILE,
        [
            row(run=newer),
            row(run=older),
            row(run=partial, complete=False),
            row(run=newer, engine="pipeline-8"),
        ],
    )
    costs = growth("hf-one 1×2 glibc", s5=100.0)
    append(
        tmp_path / GROWTH_FILE,
        [cost.model_copy(update={"run": run}) for run in (older, newer) for cost in costs],
    )
    rows, growing = newest(tmp_path)
    assert [(it.run, it.engine) for it in rows] == [(newer, "hf-one"), (newer, "pipeline-8")]
    assert [it.run for it in growing] == [newer]


def test_an_empty_folder_holds_no_run(tmp_path: Path) -> None:
    assert newest(tmp_path) == ([], [])


def test_a_ratio_is_taken_within_each_round() -> None:
    """Medians of 4 and 3 would give 1.33; the rounds, of which the second was slow for both, say 2."""
    assert ratio([8.0, 2.0, 4.0], [4.0, 1.0, 3.0]) == 2.0


def test_who_left_after_the_first_round_is_compared_in_it() -> None:
    assert ratio([9.0], [3.0, 1.0, 1.0]) == 3.0
