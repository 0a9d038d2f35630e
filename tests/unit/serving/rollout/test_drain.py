"""A worker that has a batch in progress is not ended, whether it computes or waits: no server, processes as workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.rollout import drain

Start = Callable[[str], int]
BATCH = "from speaker_id.activity import Activity\nActivity().__enter__()"
IDLE = "from speaker_id.activity import Activity\nActivity()"
SPIN = "while True: pass"
SPINNING_CHILD = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {SPIN!r}])"
shows = pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="this system has no /proc")


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python that runs some code and then waits; its process id."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> int:
        command = [sys.executable, "-c", f"{code}\nprint('ready', flush=True)\ninput()"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return process.pid

    yield start
    for process in started:
        for each in reversed(drain.processes.family(process.pid)):
            each.kill()
        process.communicate()


@shows
def test_a_worker_that_waits_for_a_decoder_works(start: Start) -> None:
    assert drain.working([start(IDLE), start(BATCH)])


@shows
def test_one_without_a_batch_does_not_whatever_its_decoders_compute(start: Start) -> None:
    assert not drain.working([start(f"{IDLE}\n{SPINNING_CHILD}")])


@shows
def test_a_batch_that_arrives_meanwhile_is_seen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = [start(IDLE)]
    monkeypatch.setattr(drain.time, "sleep", lambda _: monkeypatch.setattr(drain.activity, "batch_of", str))
    assert drain.working(pids)


def test_one_that_shows_nothing_works_while_a_descendant_computes(start: Start) -> None:
    assert not drain.working([start("")])
    assert drain.working([start(SPINNING_CHILD)])


def test_one_that_has_ended_works_no_longer() -> None:
    assert not drain.working([2**22 + 1])
