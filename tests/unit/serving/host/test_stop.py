"""`make stop` and a `make serve` that does not end at once: no server, a process in its place."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bundle import BundleError
from serving import serve, state, stop
from serving.host.processes import Identity
from serving.state import State
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
    stop.ask(identity, 60.0)
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
        f"waiting for process {identity.pid} to end, which answers the requests it has accepted first: at most 1 s "
        "more, then it is killed"
    ) in waited
    assert killed == f"process {identity.pid} has not ended within 1 s and is killed"


def test_a_server_has_the_grace_that_it_was_started_with(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, identity = start("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    monkeypatch.setattr(stop, "ENDING_SECONDS", 0.4)
    server = State(["demo"], "http://127.0.0.1:1", "", "", "", "", "", identity, None, [], stop_seconds=1.0)
    server.write(tmp_path)
    assert stop.stop(tmp_path, server) == []
    assert f"process {identity.pid} has not ended within 1 s and is killed" in capsys.readouterr().out


def test_a_server_is_started_with_what_its_stop_may_take() -> None:
    class Service:
        def start(self, _: object, stop_seconds: float) -> None:
            raise BundleError(f"a stop takes {stop_seconds:.0f} s")

        def stop(self, *_: object) -> int:
            return 0

    with pytest.raises(BundleError, match="a stop takes 320 s"):
        serve.serve(Service(), SimpleNamespace(hurry=None), grace=300.0, delay=20.0)  # type: ignore[arg-type]


def test_a_server_of_an_older_bundle_has_the_default_grace(tmp_path: Path) -> None:
    serves = Identity.of(psutil.Process())
    State(["demo"], "http://127.0.0.1:1", "", "", "", "", "", serves, None, []).write(tmp_path)
    file = tmp_path / state.FILE
    written = json.loads(file.read_text())
    del written["stop_seconds"]
    file.write_text(json.dumps(written))
    old = state.read(file)
    assert old is not None
    assert old.stop_seconds == state.GRACE_SECONDS
