"""Results by server: what is recorded of one leaves the others, and the page has a part about each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from measure.by_server import LatencyRun, Recorded
from measure.document import END, Page


@dataclass(frozen=True)
class Run(LatencyRun):
    round: int
    latencies: tuple[float, ...]


def test_the_latencies_of_a_run_are_one_line() -> None:
    run = Run(1, (10.5, 20.0))
    assert run.row() == {"round": 1, "latencies": "10.5 20.0"}
    assert Run.of(run.row()) == run


def test_recording_one_server_leaves_the_others(tmp_path: Path) -> None:
    page = Page(tmp_path / "page.md", "measure.it.page")
    page.path.write_text(f"{page.begin}\n{END}\n")
    recorded = Recorded(
        "python -m measure.it",
        tmp_path / "it.json",
        page,
        lambda server, found: [f"{server}: {found['clips']}"],
    )
    assert recorded.text(tmp_path) == "No result is recorded: `python -m measure.it` records one."
    for server, clips in (("torchserve", 1), ("triton", 2), ("torchserve", 3)):
        recorded.record({"settings": {"server": server}, "clips": clips})
    assert json.loads((tmp_path / "it.json").read_text())["triton"]["clips"] == 2
    assert page.path.read_text() == f"{page.begin}\n\ntorchserve: 3\n\ntriton: 2\n\n{END}\n"
