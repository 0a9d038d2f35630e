"""A process that ends with the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from serving.host.leash import Leashed, watches
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[4]
# ignores what asks it to end, and has a child that does
CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
print(grandchild.pid, flush=True)
time.sleep(3600)
"""
PARENT = f"""
import subprocess, sys, time
from serving.host.leash import Leashed
child = Leashed([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
print(child.pid, int(child.stdout.readline()), flush=True)
time.sleep(3600)
"""


def ended(pid: int) -> bool:
    """Nobody may be there to reap it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def family(pid: int) -> list[int]:
    return [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_nothing_is_left_of_a_parent_that_was_killed(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child, grandchild = map(int, parent.stdout.readline().split())
        pids = family(child)
        assert grandchild in pids
        assert len(pids) == 3  # and the shell
        parent.send_signal(number)
    wait_until(lambda: all(map(ended, pids)))


def test_it_lives_on_when_the_thread_that_started_it_ends() -> None:
    started: list[Leashed] = []
    thread = threading.Thread(
        target=lambda: started.append(Leashed([sys.executable, "-c", CHILD], stdout=subprocess.PIPE))
    )
    thread.start()
    thread.join()
    with started[0] as child:
        assert child.stdout
        assert child.stdout.readline()
        assert child.poll() is None
        child.kill()
        child.wait()
        child.release()


def test_a_release_ends_what_the_process_left_behind() -> None:
    with Leashed([sys.executable, "-c", CHILD], stdout=subprocess.PIPE) as child:
        assert child.stdout
        grandchild = int(child.stdout.readline())
        pids = family(child.pid)
        child.kill()
        child.wait()
        assert not ended(grandchild)
        child.release()
        wait_until(lambda: all(map(ended, pids)))
        child.release()


def test_signals_to_the_group_do_not_end_the_watch() -> None:
    with Leashed([sys.executable, "-c", CHILD], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        (shell,) = (each for each in psutil.Process(child.pid).children() if watches(each))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            shell.send_signal(number)
        assert shell.is_running()
        child.release()
        assert child.wait(600) == -signal.SIGKILL


def test_the_process_is_itself_and_inherits_what_popen_says(tmp_path: Path) -> None:
    """Its id, its environment, its output, nothing to read, signals as usual, no descriptor of ours."""
    program = (
        "import os, signal, sys; print(os.getpid(), os.environ['X'], repr(sys.stdin.read()), "
        "signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, sorted(os.listdir('/dev/fd')), os.getcwd(), "
        "sys.argv[1:], sep='\\n')"
    )
    command = [sys.executable, "-c", program, "a b", "$(c)"]
    with Leashed(command, stdout=subprocess.PIPE, cwd=tmp_path, env={"X": "y"}) as child:
        assert child.stdout
        said = child.stdout.read().decode().splitlines()
        assert child.wait() == 0
        child.release()
    assert said[:4] == [str(child.pid), "y", "''", "True"]
    assert set(said[4].strip("[]").replace("'", "").split(", ")) <= {
        "0",
        "1",
        "2",
        "3",
    }  # 3 is the listing itself
    assert said[5:] == [os.fspath(tmp_path), "['a b', '$(c)']"]
