"""A recorded comparison: one server's result leaves the others', and what is tried quickly is not recorded."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from measure.document import END, Page, Table
from measure.loadtest.comparison import Comparison, Run, milliseconds
from tests.unit.measure.loadtest.comparisons import MACHINE, WHERE, told


@dataclass(frozen=True)
class OwnRun(Run):
    clips: int


RUN = OwnRun("alone", 1, (10.5, 20.0), 0, 7)


@pytest.fixture
def comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    monkeypatch.setattr(
        "measure.loadtest.comparison.provenance",
        lambda *packages: {"date": "2026-01-02T03:04:05Z", "machine": MACHINE},
    )
    page = Page(tmp_path / "page.md", "measure.it.page")
    page.path.write_text(f"{page.begin}\n{END}\n")
    return Comparison(
        "it",
        tmp_path,
        page,
        "It on {}",
        lambda asked: f"{asked['rounds']} rounds of {asked['seconds']:g} s",
        lambda content: [Table(["clips"], [[str(row["clips"])] for row in content["runs"]]), "Done."],
    )


def run(comparison: Comparison, *arguments: str) -> int:
    def measure(options: Namespace, screen: Console) -> dict[str, Any]:
        return {"runs": [OwnRun("alone", 1, (), 0, options.clips).row()]}

    parser = comparison.parser("Measure it.", rounds=(6, "rounds"), seconds=(20.0, "of a run"))
    parser.add_argument("--clips", type=int, default=8)
    return comparison.main(parser, arguments, {"rounds": 1, "clips": 2}, measure)


def test_a_run_is_kept_as_it_was_and_its_latencies_are_one_line() -> None:
    row = {"condition": "alone", "round": 1, "latencies": "10.5 20.0", "failed": 0, "clips": 7}
    assert RUN.row() == row
    assert OwnRun.of(json.loads(json.dumps(row))) == RUN
    assert milliseconds([0.02, 0.01049]) == (10.5, 20.0)


def test_recording_one_server_leaves_the_others(comparison: Comparison) -> None:
    assert comparison.text(comparison.folder) == "No result is recorded: `python -m measure.it` records one."
    for server, clips in (("torchserve", "1"), ("triton", "2"), ("torchserve", "3")):
        assert run(comparison, "--server", server, "--clips", clips) == 0
    kept = json.loads(comparison.file.read_text())
    assert [(server, content["runs"][0]["clips"]) for server, content in kept.items()] == [
        *(("torchserve", 3), ("triton", 2))
    ]
    assert kept["triton"]["settings"] == {"server": "triton", "rounds": 6, "seconds": 20.0, "clips": 2}
    begin, _, end = comparison.page.path.read_text().partition("### It on triton")
    assert begin.startswith(
        f"{comparison.page.begin}\n\n### It on torchserve\n\n{WHERE}; 6 rounds of 20 s. During the run, "
    )
    assert "| 3 |\n\nDone." in begin
    assert "| 2 |\n\nDone." in end


@pytest.mark.parametrize(("option", "clips"), [("--quick", 2), ("--no-record", 8)])
def test_what_is_not_to_be_recorded_is_shown_alone(
    comparison: Comparison, capsys: pytest.CaptureFixture[str], option: str, clips: int
) -> None:
    page = comparison.page.path.read_text()
    assert run(comparison, option) == 0
    assert f"\n  {clips} " in capsys.readouterr().out
    assert not comparison.file.exists()
    assert comparison.page.path.read_text() == page


def test_the_page_says_where_it_was_measured_and_how_busy_that_machine_was(comparison: Comparison) -> None:
    settings = {"server": "triton", "rounds": 2, "seconds": 4.5}
    text = told(comparison, comparison.folder, settings, [RUN])
    assert text.startswith(f"### It on triton\n\n{WHERE}; 2 rounds of 4.5 s. During the run, other programs ")
    assert "kept 0.50 cores busy." in text
