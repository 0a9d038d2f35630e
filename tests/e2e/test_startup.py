"""A start that succeeds says so; one that cannot succeed says why, at once."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from serving.control import ManagementError
from serving.host.ports import LOOPBACK
from serving.model_server import ServerError
from serving.torchserve.ports import Ports
from serving.torchserve.process import TorchServe

pytestmark = pytest.mark.e2e

Start = Callable[..., TorchServe]


@pytest.fixture
def start(stub_store: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a TorchServe on the test's store; it is stopped when the test ends."""
    started: list[TorchServe] = []

    def start(*models: str, ports: Ports | None = None) -> TorchServe:
        server = TorchServe(stub_store, models, tmp_path / "run, é", ports)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop(0)


def answer(server: TorchServe, body: bytes, model: str = "stub", **options: Any) -> requests.Response:
    url = f"{server.url}/predictions/{model}"
    return requests.post(
        url, body, headers={"content-type": "application/octet-stream"}, timeout=600, **options
    )


def test_it_is_ready_when_every_worker_of_every_model_answers(
    start: Start, build_stub: Callable[..., None]
) -> None:
    build_stub("one", minWorkers=2, maxWorkers=2, stub={"slow_seconds": 3})
    build_stub("two")
    server = start("one", "two")
    server.wait_ready()
    pids = server.worker_pids()
    assert len(set(pids)) == 3
    assert answer(server, b"abc", "one").json()[0]["pid"] in pids
    assert answer(server, b"abc", "two").json()[0]["pid"] in pids


def test_what_the_user_exported_for_other_programs_changes_nothing(
    start: Start, build_stub: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_stub("stub")
    (tmp_path / "other.properties").write_text("inference_address=http://127.0.0.1:1\n")
    monkeypatch.setenv("TS_CONFIG_FILE", str(tmp_path / "other.properties"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server = start("stub")
    server.wait_ready(60)
    assert requests.get(f"{server.url}/ping", timeout=600, proxies={"http": ""}).status_code == 200
    (worker,) = server.worker_pids()
    environment = psutil.Process(worker).environ()
    assert str(tmp_path) not in environment["PYTHONPATH"].split(os.pathsep)
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["TMPDIR"] == str(server.temp)


def test_everything_listens_on_loopback_only(stub_server: TorchServe) -> None:
    server = stub_server
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for identity in server.identities()
        if (process := identity.process())
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = server.ports
    wanted = [ports.inference, ports.metrics, ports.grpc_inference, ports.grpc_management]
    assert listening == {(LOOPBACK, port) for port in wanted}


def test_a_model_that_refuses_to_load_fails_the_start_with_its_own_words(
    start: Start, build_stub: Callable[..., None]
) -> None:
    """Of a RuntimeError; test_lifecycle has a ValueError."""
    build_stub("stub", stub={"runtime_error": "model.safetensors has SHA-256 ab12, its manifest says cd34"})
    server = start("stub")
    began = time.monotonic()
    with pytest.raises(
        ServerError, match=r"model\.safetensors has SHA-256 ab12, its manifest says cd34"
    ) as caught:
        server.wait_ready()
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 300, "it waited for a worker that never comes"


def test_a_worker_killed_while_serving_is_seen_at_once_and_replaced(
    start: Start, build_stub: Callable[..., None]
) -> None:
    build_stub("stub")
    server = start("stub")
    server.wait_ready()
    (before,) = server.worker_pids()
    died = answer(server, b"die")
    assert died.status_code == 500
    deadline = time.monotonic() + 600
    while (pids := server.worker_pids()) in ([before], []):
        assert time.monotonic() < deadline, "no new worker took the dead one's place"
        time.sleep(0.1)
    (after,) = pids
    assert answer(server, b"abc").json()[0]["pid"] == after


def test_only_the_owner_reaches_the_management_api(stub_server: TorchServe) -> None:
    server = stub_server
    folder = server.management.path.parent
    assert server.management.path.is_socket()
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (os.getuid(), 0o700)
    url = f"{server.url}/models"  # the inference port knows nothing of it
    assert requests.get(url, timeout=600).status_code == 404
    assert requests.post(url, params={"url": "stub.mar"}, timeout=600).status_code == 404


def test_an_archive_outside_the_store_is_not_loaded(
    start: Start, build_stub: Callable[..., None], stub_store: Path, tmp_path: Path
) -> None:
    for name in ("stub", "inside", "outside"):
        build_stub(name)
    outside = (stub_store / "outside.mar").rename(tmp_path / "outside.mar")
    server = start("stub")
    server.wait_ready()
    server.management.register("inside.mar", timeout=600)
    with pytest.raises(ManagementError, match=r"does not match any allowed URL\(s\)") as refused:
        server.management.register(outside.as_uri(), timeout=600)
    assert refused.value.status == 404


def test_a_store_that_others_may_write_to_is_refused(
    start: Start, build_stub: Callable[..., None], stub_store: Path
) -> None:
    build_stub("stub")
    stub_store.chmod(0o777)
    with pytest.raises(ServerError, match="is writable by others"):
        start("stub")


def test_a_corrupt_archive_fails_the_start(start: Start, stub_store: Path) -> None:
    (stub_store / "stub.mar").write_bytes(b"this is no archive")
    with pytest.raises(ServerError, match="does not load"):
        start("stub").wait_ready(timeout=600)


def test_a_taken_port_is_named(start: Start, build_stub: Callable[..., None]) -> None:
    build_stub("stub")
    ports = Ports.free()
    taken = pytest.raises(ServerError, match=f"port {ports.metrics} is taken")
    with socket.create_server((LOOPBACK, ports.metrics)), taken:
        start("stub", ports=ports)


def test_a_jvm_that_ends_while_starting_is_reported(start: Start, build_stub: Callable[..., None]) -> None:
    build_stub("stub")
    server = start("stub")
    (java, *_) = server.identities()
    os.kill(java.pid, signal.SIGKILL)
    with pytest.raises(ServerError, match="TorchServe ended while starting"):
        server.wait_ready()
