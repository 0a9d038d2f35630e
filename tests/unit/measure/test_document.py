"""Tables read the same on a terminal and in a document; a page changes between its markers and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from measure import ROOT, MeasureError
from measure.document import END, Page, Table, join
from measure.results import load_json

TABLE = Table(("fault", "sent", "note"), [("kill", "12", "a | b"), ("hang", "7", "")], "lrl")


def test_markdown_aligns_columns_and_escapes_bars() -> None:
    assert str(TABLE).splitlines() == [
        "| fault | sent | note |",
        "|---|---:|---|",
        "| kill | 12 | a \\| b |",
        "| hang | 7 |  |",
    ]


def test_columns_beyond_those_named_are_numbers() -> None:
    assert str(Table(("name", "a", "b"), [("x", "1", "2")])).splitlines()[1] == "|---|---:|---:|"


def test_a_table_without_rows_is_left_out() -> None:
    assert join("one", Table(("a",), []), "", "two") == "one\n\ntwo"


def test_the_terminal_shows_the_same_cells() -> None:
    console = Console(width=60)
    with console.capture() as captured:
        console.print(TABLE.rich("Faults", [None, "bold"]))
    shown = captured.get()
    assert [word for word in ("Faults", "kill", "12", "a | b", "hang") if word not in shown] == []


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path / "page.md", "measure.some.report")


def test_a_page_keeps_what_is_outside_the_markers(page: Page) -> None:
    page.path.write_text(f"a\n{page.begin}\nold\n{END}\nb")
    page.write("new")
    assert page.path.read_text() == f"a\n<!-- written by python -m measure.some.report -->\n\nnew\n\n{END}\nb"


def test_a_page_without_markers_is_refused(page: Page) -> None:
    page.path.write_text("nothing here")
    with pytest.raises(MeasureError, match=r"page\.md lacks its markers"):
        page.filled("new")


def test_only_the_repositorys_own_result_is_written_into_the_page(page: Page) -> None:
    page.path.write_text(f"{page.begin}\nold\n{END}")
    own, other = (page.path.parent / folder / "found.json" for folder in ("own", "other"))
    for file, shown in ((other, "\nold\n"), (own.parent / ".." / "own" / own.name, "\n\n1 s\n\n")):
        assert page.record({"seconds": 1}, lambda found: f"{found['seconds']} s", file, own) == "1 s"
        assert load_json(file, "it") == {"seconds": 1}
        assert page.path.read_text() == f"{page.begin}{shown}{END}"


def test_images_are_named_from_the_pages_folder() -> None:
    page = Page.of("benchmark", "measure.bench.report")
    file = ROOT / "measure" / "bench" / "results" / "growth.png"
    assert page.image("Growth", file) == "![Growth](../../measure/bench/results/growth.png)"


def test_the_command_writes_the_page_or_says_in_one_line_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Page.of("benchmark", "measure.some.report")
    document = tmp_path / "page.md"
    document.write_text(f"{page.begin}\n{END}\n")
    arguments = ["--results", str(tmp_path), "--document", str(document)]
    assert page.main(lambda results: f"from {results}", ROOT, arguments) == 0
    assert f"from {tmp_path}" in document.read_text()

    def fail(results: Path) -> str:
        raise MeasureError(f"there is nothing in {results}")

    assert page.main(fail, ROOT, arguments) == 1
    assert capsys.readouterr().err == f"measure.some.report: there is nothing in {tmp_path}\n"
