"""Processes are known by id and creation time, and ended for certain."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from bundle import ports, processes
from bundle.processes import Identity

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


def test_another_process_under_the_same_id_is_not_taken_for_it(start: Start) -> None:
    identity = Identity.of(psutil.Process(start("").pid))
    former = replace(identity, created=identity.created - 60)
    assert former.process() is None


def test_a_process_that_ignores_sigterm_is_killed(start: Start) -> None:
    child = start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    identity = Identity.of(psutil.Process(child.pid))
    assert processes.end([psutil.Process(child.pid)], grace=0.3) == []
    assert not identity.alive


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
