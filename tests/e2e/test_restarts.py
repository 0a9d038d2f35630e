"""A start that is refused, one after a crash, one after a promotion; and the logs of all that."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from serving import state
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import logs, ports
from serving.host.ports import LOOPBACK
from serving.service import ROTATE_SECONDS, Service
from serving.state import SERVE_LOCK
from serving.torchserve.process import TorchServe
from tests.e2e.rollout_stub import SPEC
from tests.e2e.started import STUB, Run, Serve, StartServe

pytestmark = pytest.mark.e2e


def log_of(running: Serve) -> str:
    return (running.folder / logs.FOLDER / "ts_log.log").read_text()


def test_a_start_that_is_refused_leaves_the_server_its_state_and_its_logs(
    serve: StartServe, run: Run
) -> None:
    """Also where the first look finds nothing: its state file has been removed, or it is starting just now."""
    running = serve()
    before, said = running.state(), log_of(running)
    file = running.folder / state.FILE
    content = file.read_bytes()
    file.unlink()
    second = run(STUB, "--port", str(running.port))
    assert (second.returncode, second.stdout) == (1, "")
    assert f"serve: another server runs in {running.folder}: end it with `make stop`" in second.stderr
    assert not file.exists()
    file.write_bytes(content)
    third = run(STUB, "--port", str(running.port))
    assert (third.returncode, third.stdout) == (1, "")
    assert third.stderr == (
        f"serve: port {running.port} already serves stub: end it with `make stop`, or choose another with PORT=\n"
    )
    cleaning = run("-m", "serving.clean")
    assert (cleaning.returncode, "is running: stop it first" in cleaning.stderr) == (1, True)
    assert running.state() == before
    assert log_of(running).startswith(said)
    assert not (running.folder / logs.EARLIER).exists()
    assert running.ask(b"abc").status_code == 200
    assert "stopped" in run("-m", "serving.stop").stdout


def test_a_port_that_somebody_else_has_costs_the_former_logs_nothing(serve: StartServe, run: Run) -> None:
    running = serve()
    running.process.terminate()
    running.process.wait(600)
    said = log_of(running)
    with socket.create_server((LOOPBACK, running.port)):
        refused = run(STUB, "--port", str(running.port))
    assert (refused.returncode, refused.stderr) == (
        1,
        f"serve: port {running.port} is taken by another process: choose another with PORT=\n",
    )
    assert not (running.folder / SERVE_LOCK).exists()
    assert log_of(running) == said


def test_the_next_start_names_and_ends_what_a_killed_one_left_and_keeps_its_logs(serve: StartServe) -> None:
    running = serve()
    family, temp = running.belongings()
    said = log_of(running)
    running.process.kill()
    running.process.wait()
    assert all(folder.exists() for folder in temp)
    again = serve()
    assert (
        f"cleaning up after stub at http://{LOOPBACK}:{running.port}, whose `make serve` was killed"
        in again.said
    )
    assert [each.pid for each in family if each.alive] == []
    assert [folder for folder in temp if folder.exists()] == []
    assert running.state() is None
    assert log_of(running) == said  # another port's; and of the same one:
    serve(port=running.port)
    assert (running.folder / logs.EARLIER / "1" / logs.FOLDER / "ts_log.log").read_text() == said


def test_everything_in_the_run_folder_is_its_users_alone(serve: StartServe) -> None:
    running = serve()
    running.ask(b"abc")
    running.wait_for(lambda: (running.folder / logs.ACCESS).exists())
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in [running.folder, *running.folder.rglob("*")]}
    assert {path.name for path in found} >= {
        "serve.json",
        "ts_log.log",
        "gateway_access.log",
        "gateway.log",
        "jvm.log",
    }
    assert {path: oct(mode) for path, mode in found.items() if mode & 0o077} == {}


class TestRotation:
    @pytest.fixture
    def gateway(self, stub_server: TorchServe) -> Iterator[Gateway]:
        with Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway:
            gateway.start()
            yield gateway

    def test_the_gateways_own_log_gives_way_to_a_new_one(self, gateway: Gateway) -> None:
        inode = gateway.log.stat().st_ino
        gateway.rotate_logs(limit=-1)
        deadline = time.monotonic() + 600
        while not gateway.log.exists():
            assert time.monotonic() < deadline
            gateway.stats("/reopen_logs")
        assert logs.rotated(gateway.log).stat().st_ino == inode
        assert gateway.log.stat().st_ino != inode

    def test_an_envoy_that_does_not_answer_costs_nothing_but_a_later_try(self, gateway: Gateway) -> None:
        """Stopped for eight seconds, it once ended the whole server."""
        requests.get(f"{gateway.url}/nothing", timeout=600)
        assert gateway.pid
        os.kill(gateway.pid, signal.SIGSTOP)
        try:
            with pytest.raises(OSError, match="timed out"):
                gateway.rotate_logs(limit=-1)
            with pytest.raises(
                OSError, match="timed out"
            ):  # it goes on with that, though there is nothing large
                gateway.rotate_logs()
        finally:
            os.kill(gateway.pid, signal.SIGCONT)
        gateway.rotate_logs()
        requests.get(f"{gateway.url}/nothing", timeout=600)
        deadline = time.monotonic() + 600
        while not (gateway.access_log.exists() and gateway.access_log.stat().st_size):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_the_service_says_it_once_and_goes_on(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service([SPEC], checkout / "model_store", checkout / "run", GatewayOptions(1))
        clock = iter(range(0, 10_000, int(ROTATE_SECONDS) + 1))
        monkeypatch.setattr("serving.service.time.monotonic", lambda: float(next(clock)))

        def fail() -> None:
            raise TimeoutError("timed out")

        monkeypatch.setattr(service.gateway, "rotate_logs", fail)
        assert [service.rotate_logs() for _ in range(3)] == ["timed out", None, None]
        monkeypatch.setattr(service.gateway, "rotate_logs", lambda: None)
        assert service.rotate_logs() is None
        monkeypatch.setattr(service.gateway, "rotate_logs", fail)
        assert service.rotate_logs() == "timed out"
        service.exporter.stop()
