"""A command's own server that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from serving import temporary
from serving.host.processes import Identity
from serving.state import RUN, State


def test_what_a_killed_evaluation_left_is_ended_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dead, alive = Identity(psutil.Process().pid, "b00t", 1.0), Identity.of(psutil.Process())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as gateway:
        try:
            running = Identity.of(psutil.Process(gateway.pid))
            for name, process, child in (
                ("evaluate-1", dead, running),
                ("evaluate-2", alive, None),
                ("8080", dead, None),
            ):
                (RUN / name).mkdir(parents=True)
                State(["demo"], "http://127.0.0.1:1", "", "", "", "", "", process, child, []).write(
                    RUN / name
                )
            temporary.clean("evaluate")
            assert not running.alive
        finally:
            gateway.kill()
    assert sorted(each.name for each in RUN.iterdir()) == ["8080", "evaluate-2"]
