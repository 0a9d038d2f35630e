"""Readiness is false in every state in which requests are not answered, whatever Java remembers of its workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest
import requests

from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.readiness import hung, question, watch
from serving.readiness.sent import HEADER
from serving.torchserve.process import TorchServe
from tests.e2e.odd_requests import message
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

SERVICE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/"
FIVE = 5.0  # s, of the promise
TEN = 10.0  # s without TorchServe's answer until it is not alive: readiness turns callers away meanwhile
ROUTES = (
    "/v2/health/ready",
    "/v2/models/stub/ready",
    "/v2/models/stub/versions/1.0/ready",
    "/v1/models/stub",
    "/ping",
)


@pytest.fixture(scope="module")
def server(
    stub_archive: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TorchServe]:
    store = tmp_path_factory.mktemp("store")
    stub_archive(store, "stub")
    with TorchServe(store, ["stub"], tmp_path_factory.mktemp("run")) as running:
        running.start()
        running.wait_ready()
        yield running
        running.stop(0)


@pytest.fixture(scope="module")
def gateway(server: TorchServe) -> Iterator[Gateway]:
    with Gateway(server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as running:
        running.start()
        yield running


@pytest.fixture(autouse=True)
def healthy(server: TorchServe, gateway: Gateway) -> None:
    server.wait_ready()
    wait_for(gateway, 200)


def statuses(gateway: Gateway) -> set[int]:
    return {requests.get(f"{gateway.url}{path}", timeout=600).status_code for path in ROUTES}


def wait_for(gateway: Gateway, status: int) -> None:
    """Until all routes say so; generous, as the machine may be busy: the test of the bound adds up the waits."""
    deadline = time.monotonic() + 600
    while (found := statuses(gateway)) != {status}:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)  # between two looks


def seen(gateway: Gateway) -> tuple[float, float]:
    """When the watch last looked, and when TorchServe last answered it, in seconds since the epoch."""
    assert gateway.folder
    looked, answered = (gateway.folder / "found").read_text().split()[:2]
    return int(looked) / 1e3, int(answered) / 1e3


def worker(gateway: Gateway) -> int:
    pid: int = requests.post(f"{gateway.url}/predictions/stub", b"abc", timeout=600).json()[0]["pid"]
    return pid


def test_the_waits_add_up_to_less_than_is_promised() -> None:
    silent = question.ASK_SECONDS + watch.SILENT_SECONDS + 2 * watch.LOOK_SECONDS
    assert silent < FIVE
    assert watch.PATIENCE + 2 * watch.LOOK_SECONDS < FIVE
    assert watch.FAMILY_SECONDS + 2 * watch.LOOK_SECONDS < FIVE


def test_a_worker_whose_decoders_are_stopped(gateway: Gateway) -> None:
    pid = worker(gateway)
    requests.post(f"{gateway.url}/predictions/stub", b"start 600", timeout=600)
    (child,) = psutil.Process(pid).children()
    child.suspend()
    try:
        wait_for(gateway, 503)
        assert gateway.usable("stub", "1.0") == 0
    finally:
        child.resume()
    wait_for(gateway, 200)


def test_a_worker_that_was_stopped(gateway: Gateway) -> None:
    pid = worker(gateway)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(gateway, 503)
        assert gateway.usable("stub", "1.0") == 0
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(gateway, 200)
    assert gateway.usable("stub", "1.0") == 1


def test_a_worker_that_hangs_while_requests_wait(gateway: Gateway) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(requests.post, f"{gateway.url}/predictions/stub", b"sleep 12", timeout=600)
        wait_for(gateway, 503)
        assert gateway.usable("stub", "1.0") == 0
        assert answer.result().status_code == 200
    wait_for(gateway, 200)


def test_one_of_several_workers_that_hangs_is_ended_after_its_time_and_the_others_answer_meanwhile(
    stub_archive: Callable[..., None], tmp_path: Path
) -> None:
    stub_archive(tmp_path, "stub", minWorkers=2, maxWorkers=2, responseTimeout=8)
    with TorchServe(tmp_path, ["stub"], tmp_path / "run") as several:
        several.start()
        several.wait_ready()
        with (
            Gateway(several, GatewayOptions(ports.free(1)[0]), response_timeout=8) as gateway,
            ThreadPoolExecutor(1) as pool,
        ):
            gateway.start()
            wait_for(gateway, 200)
            before = set(several.worker_pids())
            lost = pool.submit(requests.post, f"{several.url}/predictions/stub", b"sleep 600", timeout=600)
            while not lost.done():
                assert statuses(gateway) <= {200} or lost.done() or set(several.worker_pids()) != before
                assert worker(gateway)
            assert lost.result().status_code == 500
            wait_until(
                lambda: len(set(several.worker_pids()) - before) == 1 and len(several.worker_pids()) == 2
            )
        several.stop(0)


def test_one_of_several_workers_that_hangs_and_shows_its_batch_is_told_from_the_idle_one(
    stub_archive: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hung, "HUNG_SECONDS", 3.0)
    stub_archive(tmp_path, "stub", minWorkers=2, maxWorkers=2)
    with TorchServe(tmp_path, ["stub"], tmp_path / "run") as several:
        several.start()
        several.wait_ready()
        with (
            Gateway(several, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway,
            ThreadPoolExecutor(1) as pool,
        ):
            gateway.start()
            wait_for(gateway, 200)
            lost = pool.submit(requests.post, f"{several.url}/predictions/stub", b"lock 600", timeout=600)
            wait_for(gateway, 503)
            assert gateway.watch
            found = gateway.watch.found["stub", "1.0"]
            idle = worker(gateway)
            assert found.trouble is watch.Trouble.HUNG
            assert (found.ready, {idle, *found.suspects}) == ((idle,), set(several.worker_pids()))
            os.kill(found.suspects[0], signal.SIGKILL)
            assert lost.result().status_code >= 500
            wait_for(gateway, 200)
        several.stop(0)


def test_a_worker_that_computes_for_long_is_taken_at_its_word(gateway: Gateway) -> None:
    pid = worker(gateway)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(requests.post, f"{gateway.url}/predictions/stub", b"spin 10", timeout=120)
        while not answer.done():
            assert statuses(gateway) == {200}
            time.sleep(0.1)  # between two looks
    assert answer.result().json()[0]["pid"] == pid


def test_a_torchserve_that_was_stopped(gateway: Gateway, server: TorchServe) -> None:
    option = f"-Djava.io.tmpdir={server.temp}"
    (java,) = [each for each in psutil.Process().children(recursive=True) if option in each.cmdline()]
    java.suspend()
    try:
        wait_for(gateway, 503)
        (_, answered), told, sent = seen(gateway), 0.0, time.time()
        while requests.get(f"{gateway.url}/v2/health/live", timeout=600).status_code == 200:
            told = (
                sent  # of the last request that was told alive, when it was sent: a busy machine adds nothing
            )
            time.sleep(0.02)  # between two looks
            sent = time.time()
        assert seen(gateway)[1] == pytest.approx(answered, abs=0.01)  # it did not answer in between
        assert 0 < told - answered < TEN + 0.01
    finally:
        java.resume()
    wait_for(gateway, 200)


def test_a_worker_whose_thread_in_java_has_ended(gateway: Gateway, server: TorchServe) -> None:
    """What StreamPredictions2 does, of TorchServe's own port: the process ends, and Java says READY for ever."""
    message = b"\x0a\x04stub\x1a\x0b\x0a\x04data\x12\x03abc\x22\x03seq"
    pid = worker(gateway)
    with grpc.insecure_channel(server.grpc, [("grpc.enable_http_proxy", 0)]) as channel:
        stream = channel.stream_stream(f"{SERVICE}StreamPredictions2")
        for _ in range(60):  # one of two or three does
            with contextlib.suppress(grpc.RpcError):
                list(stream(iter([message]), timeout=30))
            with contextlib.suppress(psutil.TimeoutExpired):
                psutil.Process(pid).wait(5)
                break
    wait_for(gateway, 503)
    assert gateway.usable("stub", "1.0") == 0
    assert [entry["workers"][0]["status"] for entry in server.describe("stub")] == ["READY"]
    with pytest.raises(requests.Timeout):
        requests.post(f"{server.url}/predictions/stub", b"abc", timeout=2)
    for workers in (0, 1):
        server.management.scale("stub", "1.0", workers)


def test_grpcs_ping_and_health_ask_the_same(gateway: Gateway) -> None:
    pid = worker(gateway)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(gateway, 503)
        with grpc.insecure_channel(gateway.url.removeprefix("http://")) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(f"{SERVICE}Ping")(b"", timeout=600)
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            answers = [check(service, timeout=600) for service in (b"", b"\x0a\x04stub")]
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert answers == [b"\x08\x02"] * 2  # NOT_SERVING
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_call_to_a_model_without_workers_is_unavailable_and_says_why(
    gateway: Gateway, server: TorchServe
) -> None:
    server.management.scale("stub", "1.0", 0)
    try:
        wait_for(gateway, 503)
        with (
            grpc.insecure_channel(gateway.url.removeprefix("http://")) as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            channel.unary_unary(f"{SERVICE}Predictions")(message(), timeout=600)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert json.loads(refused.value.details()) == {
            "error": "stub: 0 of 1 workers ready",
            "code": "unavailable",
        }
    finally:
        server.management.scale("stub", "1.0", 1)


def test_nobody_watching_is_not_ready_in_time(server: TorchServe) -> None:
    """Measured from the last look to when the last request that is told ready was sent: a busy machine adds nothing."""
    with Gateway(server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as lonely:
        lonely.start()
        wait_for(lonely, 200)
        assert lonely.watch
        lonely.watch.stop()
        looked, _ = seen(lonely)
        told, sent, status = looked, time.time(), 200
        while status == 200:
            time.sleep(0.02)  # between two looks
            told, sent = sent, time.time()
            ready = requests.get(f"{lonely.url}/v2/health/ready", timeout=600)
            status = ready.status_code
        assert told - looked < FIVE - watch.LOOK_SECONDS
        assert (status, ready.json()["reason"]) == (503, "the model server is no longer being watched")


def test_a_caller_cannot_pose_as_the_watch(gateway: Gateway) -> None:
    response = requests.post(f"{gateway.url}/predictions/stub", b"abc", headers={HEADER: "yes"}, timeout=600)
    assert HEADER not in response.json()[0]["headers"]


def test_what_the_watch_found_is_its_owners(gateway: Gateway) -> None:
    assert gateway.folder
    assert (gateway.folder / "found").is_file()
    assert gateway.folder.stat().st_mode & 0o077 == 0
    assert Path(gateway.folder).name.startswith("speaker-id-gateway-")
