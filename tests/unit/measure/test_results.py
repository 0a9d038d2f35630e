"""Records on disk: CSV rows whose columns must fit, ratios within rounds, JSON that a command wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from measure import MeasureError
from measure.results import Maybe, Measurement, append, load_json, ratio, read, save_json


class Row(Measurement):
    speed: Maybe
    note: str


ROW = Row(
    speed=3.0, note="", model="a", clips="b", run="2030-01-01T00:00:00Z", complete=True, commit="c", dirty=False,
    cpu="d", cpu_flags="", cores=2, versions="e",
)  # fmt: skip


def test_own_columns_stand_before_shared_ones(tmp_path: Path) -> None:
    append(tmp_path / "runs.csv", [ROW])
    heading = (tmp_path / "runs.csv").read_text().splitlines()[0].split(",")
    assert heading[:2] == ["speed", "note"]
    assert set(heading) == set(Row.model_fields)


def test_what_was_not_measured_is_an_empty_cell_and_an_empty_text_stays_one(tmp_path: Path) -> None:
    row = ROW.model_copy(update={"speed": None})
    append(tmp_path / "runs.csv", [row])
    assert read(tmp_path / "runs.csv", Row) == [row]


def test_rows_are_appended_in_the_order_of_the_files_columns(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(",".join(sorted(Row.model_fields)) + "\n")
    append(file, [ROW])
    assert read(file, Row) == [ROW]


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("speed\n3\n")
    with pytest.raises(MeasureError, match=r"runs\.csv has other columns"):
        append(tmp_path / "runs.csv", [ROW])
    assert (tmp_path / "runs.csv").read_text() == "speed\n3\n"


def test_a_ratio_is_taken_within_each_round() -> None:
    """Medians of 4 and 3 would give 1.33; the rounds, of which the second was slow for both, say 2."""
    assert ratio([8.0, 2.0, 4.0], [4.0, 1.0, 3.0]) == 2.0


def test_who_left_after_the_first_round_is_compared_in_it() -> None:
    assert ratio([9.0], [3.0, 1.0, 1.0]) == 3.0


def test_json_comes_back_and_a_missing_file_names_the_command(tmp_path: Path) -> None:
    assert load_json(save_json({"×": [1.5, None]}, tmp_path / "new" / "found.json"), "make it") == {
        "×": [1.5, None]
    }
    with pytest.raises(MeasureError, match=r"there is no .*other\.json: `make it` writes it"):
        load_json(tmp_path / "other.json", "make it")
