"""What a run's table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from measure.chaos import report
from measure.chaos.__main__ import NAMES, choose, main
from measure.chaos.scene import FaultRow
from measure.document import END

ROW = FaultRow("hang", 40, 38, 2, 0, 0, 6.25, 1510.4, 1498.6, "ended | after 4 s", ["2 retryable: 507 <b>"])
CONTENT = {
    "date": "2026-11-24T20:00:00+00:00",
    "command": "python -m measure.chaos --minutes 4",
    "server": "Triton",
    "machine": {
        "cpu": "a processor",
        "cores": 2,
        "cpu_flags": "avx2",
        "versions": "torch 2.13.0",
        "commit": "abc",
        "dirty": True,
    },
    "settings": {"minutes": 4.0, "bodies": 2000},
    "faults": [vars(ROW)],
}


def test_the_table_has_every_number_of_a_fault_and_what_broke() -> None:
    text = report.markdown(CONTENT)
    assert (
        "| hang | 40 | 38 | 2 | 0 | 0 | 6.2 s | 1510 → 1499 | ended \\| after 4 s; 2 retryable: 507 &lt;b> |"
        in text
    )
    assert "Triton; a processor, 2 cores; torch 2.13.0; commit abc with changes on top; 2026-11-24" in text
    assert "`python -m measure.chaos --minutes 4`: 4 minutes of 80 % load, 2000 fuzzed bodies" in text


def test_it_stands_between_the_documents_markers(tmp_path: Path) -> None:
    document = tmp_path / "chaos.md"
    document.write_text(f"before\n{report.PAGE.begin}\nold\n{END}\nafter\n")
    run = tmp_path / "chaos.json"
    run.write_text(json.dumps(CONTENT))
    assert report.main(["--results", str(run), "--document", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| hang | 40 |" in text


def test_a_run_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["--results", str(tmp_path / "none.json")]) == 1
    assert (
        capsys.readouterr().err
        == f"measure.chaos.report: there is no {tmp_path}/none.json: `make chaos` writes it\n"
    )


def test_faults_are_chosen_by_name_and_run_in_their_own_order() -> None:
    assert [fault.name for fault in choose("fuzz,kill-worker")] == ["kill-worker", "fuzz"]
    with pytest.raises(ValueError, match="--only fuz: known are kill-worker, hang"):
        choose("fuz")
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "fuz"])  # before anything is started
    assert NAMES[-1] == "kill-server"  # it ends the server of the others
