"""What workers noted and had when they ended, each in a process of its own that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from speaker_id.suspects import FOLDER_VARIABLE, KEPT_SECONDS, Suspects

WORKER = """
import sys
from speaker_id.suspects import Suspects
suspects = Suspects.from_environment()
with suspects.noted(["before"]):
    pass
with suspects.noted(sys.argv[1:]):
    print("busy", flush=True)
    input()
print("idle", flush=True)
input()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def worker(*requests: str) -> subprocess.Popen[str]:
    """One that is processing these."""
    pipe = subprocess.PIPE
    started = subprocess.Popen([sys.executable, "-c", WORKER, *requests], stdin=pipe, stdout=pipe, text=True)
    assert started.stdout
    assert started.stdout.readline() == "busy\n"
    return started


def kill(running: subprocess.Popen[str]) -> None:
    running.kill()
    running.communicate()


def test_what_workers_had_when_they_ended_is_counted_by_worker(folder: Path) -> None:
    ours = Suspects(folder)
    first, second, finished, alive = worker("a", "b"), worker("b", "b"), worker("c"), worker("a", "d")
    try:
        assert finished.stdin
        assert finished.stdout
        finished.stdin.write("\n")
        finished.stdin.flush()
        assert finished.stdout.readline() == "idle\n"
        assert ours.ended() == {}, "all are alive"
        for each in (first, second, finished):
            kill(each)
        with ours.noted(["e"]):
            assert ours.ended() == {"a": 1, "b": 2}
    finally:
        kill(alive)
    assert ours.ended() == {"a": 2, "b": 2, "d": 1}


def test_a_request_is_counted_by_all_of_its_id_and_no_other_by_a_part(folder: Path) -> None:
    ours = Suspects(folder)
    kill(worker("1.5 0 a\x85\u20281.6 0 b\x1c"))
    assert ours.ended() == {"1.5 0 a\x85\u20281.6 0 b\x1c": 1}


def test_what_is_older_than_any_request_can_be_is_removed_when_a_worker_starts(folder: Path) -> None:
    for request in ("old", "new"):
        kill(worker(request))
    old = next(file for file in folder.iterdir() if file.read_text() == "old")
    then = time.time() - KEPT_SECONDS - 1
    os.utime(old, (then, then))
    ours = Suspects(folder)
    assert ours.ended() == {"new": 1}
    assert len(list(folder.iterdir())) == 2


def test_without_a_folder_nothing_is_noted_and_nothing_suspected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    ours = Suspects.from_environment()
    with ours.noted(["a"]):
        assert ours.ended() == {}


def test_a_full_disk_costs_no_batch(folder: Path) -> None:
    ours = Suspects(folder)
    ours._file = os.open("/dev/full", os.O_WRONLY)  # ftruncate fails there, too
    with ours.noted(["a"]):
        pass
