"""`make stop` and a `make serve` that does not end at once: no server, a process in its place."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from serving import stop
from serving.host.processes import Identity
from tests.waiting import wait_until

Start = Callable[[str], tuple[psutil.Process, Identity]]


@pytest.fixture
def start() -> Iterator[Start]:
    """A process that runs a program and has said that it is about to wait."""
    started = []

    def run(program: str) -> tuple[psutil.Process, Identity]:
        waits = f"import signal, time\n{program}\nprint(flush=True)\ntime.sleep(3600)"
        made = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE)
        started.append(made)
        assert made.stdout
        made.stdout.readline()
        process = psutil.Process(made.pid)
        return process, Identity.of(process)

    yield run
    for made in started:
        made.kill()
        made.communicate()


def test_one_that_is_stopped_goes_on_and_ends_in_order(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    process, identity = start("")
    process.suspend()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
    stop.ask(identity)
    assert process.wait(600) == -signal.SIGTERM
    assert (
        f"process {identity.pid} was suspended, by SIGSTOP or Ctrl-Z; it is resumed"
        in capsys.readouterr().out
    )


def test_what_is_waited_for_is_said_and_has_an_end(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, identity = start("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    monkeypatch.setattr(stop, "SAY_SECONDS", 0.5)
    stop.ask(identity, 1.2)
    assert process.wait(600) == -signal.SIGKILL
    *waited, killed = capsys.readouterr().out.splitlines()
    assert (
        f"waiting for process {identity.pid} to answer the requests it has accepted: at most 1 s more"
        in waited
    )
    assert killed == f"process {identity.pid} has not ended within 1 s and is killed"
