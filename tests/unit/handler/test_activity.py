"""What a worker shows of its work, in a process of its own as others see it."""

import subprocess
import sys
from pathlib import Path

import pytest
from speaker_id.activity import batch_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="this system has no /proc")
WORKER = """
from speaker_id.activity import Activity
activity = Activity()
for _ in range(2):
    input()
    with activity:
        print("busy", flush=True)
        input()
    print("idle", flush=True)
input()
"""


def test_a_batch_in_hand_shows_in_the_processs_name_and_each_has_another() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=pipe, stdout=pipe, text=True) as worker:
        assert worker.stdin
        assert worker.stdout
        seen = [batch_of(worker.pid)]
        for _ in range(4):
            worker.stdin.write("\n")
            worker.stdin.flush()
            worker.stdout.readline()
            seen.append(batch_of(worker.pid))
    assert seen == [None, "batch 1", None, "batch 2", None]


def test_a_batch_that_goes_on_has_another_number_and_the_next_batch_again_another() -> None:
    code = WORKER.replace(
        "        input()\n", "        activity.renew()\n        print(flush=True)\n        input()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as worker:
        assert worker.stdin
        assert worker.stdout
        seen = []
        for lines in (2, 1, 2, 1):
            worker.stdin.write("\n")
            worker.stdin.flush()
            for _ in range(lines):
                worker.stdout.readline()
            seen.append(batch_of(worker.pid))
    assert seen == ["batch 2", None, "batch 4", None]


def test_a_process_that_has_ended_has_no_batch() -> None:
    assert batch_of(2**22 + 1) is None  # more than the kernel gives


def test_where_the_name_cannot_be_set_nothing_is_shown_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from speaker_id import activity

    def refuse(*_: object) -> int:
        raise OSError

    with monkeypatch.context() as unwritable:
        unwritable.setattr(activity.os, "write", refuse)
        shown = activity.Activity()
        with shown:
            pass
    monkeypatch.setattr(activity.os, "open", refuse)
    with shown, activity.Activity():
        pass
