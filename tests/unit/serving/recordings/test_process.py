"""The splitter's process is restarted when it ends and when it hangs, and pauses where no start succeeds."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.recordings import process
from serving.recordings.configuration import Configuration
from serving.recordings.process import UNAVAILABLE, SplitterProcess
from tests.waiting import wait_until


@pytest.fixture
def made() -> Iterator[SplitterProcess]:
    """One that serves no model, not started yet."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        asked = Configuration(Path(folder, "splitter"), Path(folder, "inner"), {}, 120, 1 << 20)
        splitter = SplitterProcess(asked, Path(folder, "splitter.log"))
        yield splitter
        splitter.stop()


def test_one_that_hangs_is_replaced(made: SplitterProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("FIRST_ASK_SECONDS", 0.05), ("ASK_SECONDS", 0.2), ("HUNG_SECONDS", 0.5)):
        monkeypatch.setattr(process, name, seconds)
    made.start()
    wait_until(lambda: made.answered)
    hangs = made.pid
    assert hangs is not None
    os.kill(hangs, signal.SIGSTOP)
    wait_until(lambda: made.pid != hangs)
    wait_until(lambda: made.answered)
    assert made.starts == 2
    assert "has not answered" in (made.news() or "")
    assert made.news() is made.degraded is None


def test_one_that_answers_is_left_alone(made: SplitterProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("FIRST_ASK_SECONDS", 0.05), ("ASK_SECONDS", 0.2), ("HUNG_SECONDS", 0.5)):
        monkeypatch.setattr(process, name, seconds)
    made.start()
    wait_until(lambda: made.answered)
    time.sleep(1.0)
    assert made.starts == 1
    assert made.news() is None


def test_one_that_cannot_start_is_said_to_be_unavailable_until_it_answers(
    made: SplitterProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PAUSE_SECONDS", 0.02)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        made.start()
        wait_until(lambda: made.degraded)
        assert made.degraded == UNAVAILABLE
        assert made.news() == f"{UNAVAILABLE} (log: {made.log})"
    wait_until(lambda: made.degraded is None)
    assert made.news() == "the splitter answers again"
    assert made.news() is None


def test_pauses_double_up_to_a_ceiling() -> None:
    assert [process.pause(failed) for failed in range(4)] == [0.2, 0.4, 0.8, 1.6]
    assert process.pause(10) == process.pause(100_000) == process.LONGEST_PAUSE_SECONDS


PARSED = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from speaker_id.memory import return_freed
from speaker_id.protocol import Payload, parse
from speaker_id.settings import Settings

body = b'{"instances":[{"sampling_rate":192000,"array":[' + b"0," * (1 << 20) + b"0]}]}"
together = Barrier(4)

def work():
    together.wait(60)  # a thread each
    parse(Payload({"body": body}), Settings())

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

with ThreadPoolExecutor(4) as pool:
    before = resident()
    bytes(30 << 20)  # as large as a body may be: from then on glibc keeps blocks up to that size
    for _ in range(2):
        for task in [pool.submit(work) for _ in range(4)]:
            task.result()
    return_freed()
    print(resident() - before)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library returns freed memory by itself"
)
def test_what_parsing_took_is_returned_whichever_thread_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARSED],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | process.ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 8 << 20
