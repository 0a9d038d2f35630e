"""Processes are known by id and start, whatever the clock says, and ended for certain."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from serving.host import ports, processes
from serving.host.processes import Identity
from tests.waiting import wait_until

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python that runs some code and says `ready`."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", f"{code}\nprint('ready', flush=True)\ninput()", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_an_identity_ends_with_its_process(start: Start) -> None:
    child = start("")
    identity = Identity.of(psutil.Process(child.pid))
    assert identity.alive
    child.kill()
    child.wait()
    assert not identity.alive


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no pidfd")
def test_the_end_of_one_of_several_processes_is_seen_at_once(start: Start) -> None:
    first, second = start(""), start("")
    began = time.monotonic()
    processes.wait_for_an_end([first.pid, second.pid], 0.05)
    assert time.monotonic() - began >= 0.05, "both run"
    second.kill()
    processes.wait_for_an_end([first.pid, second.pid], 600)
    second.wait()
    processes.wait_for_an_end([first.pid, second.pid], 600)  # one that is gone


HASHES = """
import hashlib, os, socket, sys, threading
os.nice(19)
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def forever(data=bytes(50_000_000)):
    while True:
        hashlib.sha256(data).digest()  # in C, where it holds no lock
for _ in range(8):
    threading.Thread(target=forever, daemon=True).start()
"""


def test_a_killed_process_has_not_ended_while_threads_of_it_hold_its_port(start: Start) -> None:
    """It is a zombie at once, also for whoever looks whether the port is free again."""
    (port,) = ports.free(1)
    child = start(HASHES, str(port))
    identity = Identity.of(psutil.Process(child.pid))
    child.kill()
    wait_until(lambda: not identity.alive)
    assert not ports.is_taken(port)
    assert child.poll() is not None


def test_another_process_under_the_same_id_is_not_taken_for_it(start: Start) -> None:
    identity = Identity.of(psutil.Process(start("").pid))
    former = replace(identity, started=identity.started - 60)
    assert former.process() is None


def test_a_process_of_an_earlier_boot_is_not_taken_for_it(start: Start) -> None:
    identity = Identity.of(psutil.Process(start("").pid))
    assert replace(identity, boot="another boot").process() is None


def test_a_clock_that_is_set_changes_no_identity(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creation times since the epoch move with the clock; psutil takes them from the boot time of now."""
    child = psutil.Process(start("").pid)
    identity = Identity.of(child)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 1.0)
    monkeypatch.setattr("psutil._pslinux.BOOT_TIME", 1.0, raising=False)
    assert identity.alive


def test_a_name_with_blanks_and_parentheses_hides_no_start(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "60"])
    try:
        ticks = Identity.of(psutil.Process(process.pid)).started / os.sysconf("SC_CLK_TCK")
        assert 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - ticks < 60
    finally:
        process.kill()
        process.wait()


def test_a_process_that_ignores_sigterm_is_killed(start: Start) -> None:
    child = start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    identity = Identity.of(psutil.Process(child.pid))
    assert processes.end([psutil.Process(child.pid)], grace=0.3) == []
    assert not identity.alive


NO_NOTICE = """
import os, time
child = os.fork()
if child == 0:
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


def test_an_end_that_the_parent_takes_no_notice_of_is_one() -> None:
    """As of orphans in a container whose first process is a plain program."""
    command = [sys.executable, "-c", NO_NOTICE]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        began = time.monotonic()
        assert processes.end([child], grace=60) == []
        assert time.monotonic() - began < 30
        assert child.status() == psutil.STATUS_ZOMBIE
    finally:
        parent.kill()
        parent.communicate()


def test_ending_what_has_ended_already_is_no_error(start: Start) -> None:
    child = start("")
    process = psutil.Process(child.pid)
    child.kill()
    child.wait()
    assert processes.end([process], grace=0.1) == []


def test_orphans_are_found_by_an_argument(start: Start) -> None:
    child = start("", "--mark=7f3a")
    found = processes.matching(lambda argument: argument == "--mark=7f3a")
    assert [process.pid for process in found] == [child.pid]


def test_free_ports_are_distinct_and_free() -> None:
    found = ports.free(20)
    assert len(set(found)) == 20
    assert not any(map(ports.is_taken, found))
