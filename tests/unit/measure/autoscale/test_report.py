from __future__ import annotations

from pathlib import Path

from measure.autoscale import RESULTS, report
from measure.document import insert


def test_the_document_is_what_the_committed_results_make() -> None:
    text = report.DOCUMENT.read_text("utf-8")
    assert insert(text, report.report(RESULTS), report.COMMAND) == text


def test_every_plot_of_the_document_is_committed() -> None:
    for line in report.DOCUMENT.read_text("utf-8").splitlines():
        if line.startswith("!["):
            assert (report.DOCUMENT.parent / line.split("](")[1].rstrip(")")).is_file(), line


def test_what_was_never_run_is_said_in_one_line(tmp_path: Path) -> None:
    assert report.main(["--results", str(tmp_path)]) == 2
