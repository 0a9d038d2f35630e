from __future__ import annotations

from pathlib import Path

import pytest

from measure.autoscale import RESULTS
from measure.autoscale.report import PAGE, main, report


def test_the_document_is_what_the_committed_results_make() -> None:
    assert PAGE.path.read_text("utf-8") == PAGE.filled(report(RESULTS)), f"run python -m {PAGE.command}"


def test_every_plot_of_the_document_is_committed() -> None:
    for line in PAGE.path.read_text("utf-8").splitlines():
        if line.startswith("!["):
            assert (PAGE.path.parent / line.split("](")[1].rstrip(")")).is_file(), line


def test_what_was_never_run_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(tmp_path)]) == 1
    assert "`make autoscale` writes it" in capsys.readouterr().err
