"""`make demo`, as a user runs it."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving import state
from serving.host.leash import Leashed
from tests.e2e.started import belongings

pytestmark = pytest.mark.e2e

DEMO = Path(__file__).resolve().parents[2] / "models" / "demo"
CLIPS = sorted([*(DEMO / "samples").glob("*.flac"), *(DEMO / "strangers").glob("*.flac")])

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_it_is_right_about_every_clip_for_30_seconds_of_a_core_and_leaves_nothing(
    run: Run, checkout: Path, temp: Path
) -> None:
    run("-m", "serving.archive", "--model", "demo")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = run("-m", "serving.demo")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # Java and its worker among them: all are waited for
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert ran.returncode == 0, ran.stderr
    assert f"{len(CLIPS)} of {len(CLIPS)} right" in ran.stdout
    assert "DEMO model" in ran.stdout
    *_, stranger = re.findall(r"^ +\S+\.flac +(\w+) +(\w+) +0\.\d+", ran.stdout, re.MULTILINE)
    assert stranger == ("unknown", "unknown")
    assert [clip.name for clip in CLIPS if clip.name not in ran.stdout] == []
    assert list(temp.glob("speaker-id-*")) == []
    assert list((checkout / state.RUN).iterdir()) == []
    assert 3 < seconds < 30


@pytest.mark.usefixtures("run")  # for its PYTHONPATH
def test_a_signal_ends_it_early_with_nothing_left(checkout: Path, temp: Path) -> None:
    command = [sys.executable, "-m", "serving.demo"]
    process = Leashed(command, cwd=checkout, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    while not list((checkout / "build").glob("run/*/serve.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = belongings(process)
    process.terminate()
    _, said = process.communicate(timeout=600)
    process.release()
    assert (process.returncode, said) == (130, b"demo: interrupted\n")
    assert [each.pid for each in family if each.alive] == []
    assert list(temp.glob("speaker-id-*")) == []
