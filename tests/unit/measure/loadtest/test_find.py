"""The whole search, by the command, against a server whose capacity is known: one that computes when it answers."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bundle.samples import FOLDER
from measure import command
from measure.loadtest import find, options, server, step
from measure.loadtest.clips import load
from measure.loadtest.drive import Plan, Record

WORKERS, WORK_SECONDS = 2, 0.05
CAPACITY = WORKERS / WORK_SECONDS  # 40 a second


def queue(plan: Plan, progress: Callable[[Record], None], enough: Callable[[], bool]) -> list[Record]:
    """What the generator would record of workers that take the first request that waits: the machine's load is no
    part of it. `test_drive` holds the generator to real endpoints."""
    free, records = [0.0] * WORKERS, []
    for shot in plan.shots:
        if enough():
            break
        finished = max(shot.time, heapq.heappop(free)) + WORK_SECONDS
        heapq.heappush(free, finished)
        record = Record(
            shot.time, shot.time, finished, 200, shot.clip.name, shot.clip.seconds, shot.target.url
        )
        records.append(record)
        progress(record)
    return records


def test_the_capacity_is_between_a_rate_that_held_and_one_that_did_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        step,
        "drive",
        lambda plan, progress=lambda _: None, enough=lambda: False: queue(plan, progress, enough),
    )
    given = ["--url", "http://computed", "--out", str(tmp_path), "--slo", "p50=120ms", "--shape", "constant"]
    args = options.parser().parse_args(["capacity", *given])
    targets = server.targets(args.url, [], args)
    assert find.capacity(args, load(FOLDER), server.Endpoint(targets), command.console()) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "capacity.json").read_text())["capacity"]
    passed = [it["rate"] for it in found["steps"] if it["passed"]]
    failed = [it["rate"] for it in found["steps"] if not it["passed"]]
    assert found["capacity_per_second"] == max(passed)
    assert 0.95 * CAPACITY < max(passed) < 1.05 * CAPACITY
    assert max(passed) < min(failed) < 1.1 * CAPACITY
    assert f"capacity {found['capacity_per_second']:.3g} requests/s at p50=0.12s" in said
    assert (tmp_path / "capacity.png").is_file()
