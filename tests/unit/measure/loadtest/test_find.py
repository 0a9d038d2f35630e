"""The whole search, by the command, against a server whose capacity is known."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bundle.samples import FOLDER
from measure.loadtest import LoadTestError, find, options, server, step, terminal
from measure.loadtest.clips import load
from tests.unit.measure.loadtest.endpoint import GOOD, Answer, endpoint

WORKERS, WORK_SECONDS = 2, 0.05
CAPACITY = WORKERS / WORK_SECONDS  # 40 a second


def measured(command: Callable[[], int], tries: int = 4) -> int:
    """A run that a busy machine spoiled says that it did, and nothing of the server: it is measured again."""
    for _ in range(tries - 1):
        try:
            return command()
        except LoadTestError as exc:
            if "generator itself was late" not in str(exc):
                raise
    return command()


def test_the_capacity_is_between_a_rate_that_held_and_one_that_did_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "WARMUP_SECONDS", 1.0)
    free = threading.Semaphore(WORKERS)

    def work(_: bytes) -> Answer:
        with free:
            time.sleep(WORK_SECONDS)
            return GOOD

    with endpoint(work) as seen:
        given = ["--url", seen.url, "--out", str(tmp_path), "--slo", "p50=120ms", "--shape", "constant"]
        args = options.parser().parse_args(["capacity", *given, "--steps", "3"])
        targets = server.targets(args.url, [], args)
        code = measured(
            lambda: find.capacity(args, load(FOLDER), server.Endpoint(targets), terminal.console())
        )
    said = capsys.readouterr().out
    assert code == 0
    found = json.loads((tmp_path / "capacity.json").read_text())["capacity"]
    passed = [it["rate"] for it in found["steps"] if it["passed"]]
    failed = [it["rate"] for it in found["steps"] if not it["passed"]]
    assert found["capacity_per_second"] == max(passed)
    assert 0.55 * CAPACITY < max(passed) < 1.05 * CAPACITY
    assert failed
    assert 0.95 * CAPACITY < min(failed) < 1.2 * CAPACITY
    assert f"capacity {found['capacity_per_second']:.3g} requests/s at p50=0.12s" in said
    assert (tmp_path / "capacity.png").is_file()
