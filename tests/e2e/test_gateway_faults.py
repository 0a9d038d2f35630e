"""How the gateway words errors, drains, starts and stops, in front of a real TorchServe."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from bundle import BundleError
from serving.gateway.configuration import Configuration
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions, Limits
from serving.host import ports
from serving.model_server import ServerError
from serving.torchserve.process import TorchServe
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

Ask = Callable[..., requests.Response]

QUEUE = 2  # of the model `narrow`


def error(response: requests.Response) -> tuple[int, str]:
    """Status and code of an error that has exactly our shape."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error", "code"}
    return response.status_code, body["code"]


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("/predictions/nobody", "nobody"),
            ("/predictions/stub/9.9", "stub, version 9.9"),
            ("/v1/models/nobody:predict", "nobody"),
        ],
    )
    def test_an_unknown_model_or_version_is_named(self, ask: Ask, path: str, named: str) -> None:
        response = ask(path)
        assert error(response) == (404, "model_not_found")
        assert response.json()["error"] == f"no such model, or no such version of it: {named}"

    @pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
    @pytest.mark.parametrize(
        "path", ["/predictions/stub", "/v1/models/stub:predict", "/v2/models/stub/infer"]
    )
    def test_a_method_that_sends_no_clip(self, ask: Ask, path: str, method: str) -> None:
        response = ask(path, method=method)
        assert error(response) == (405, "method_not_allowed")
        assert response.headers["allow"] == "POST, PUT"

    def test_a_bug_in_the_handler_is_500_without_its_text(self, ask: Ask) -> None:
        response = ask("/predictions/stub", b"raise")
        assert error(response) == (500, "internal_error")
        assert "a bug" not in response.text

    @pytest.mark.parametrize("body", [b"sleep 1", b"sleep 1 " + b"x" * 20_000_000], ids=["small", "20 MB"])
    def test_a_caller_does_not_notice_that_a_worker_was_killed(
        self, ask: Ask, stub_server: TorchServe, body: bytes
    ) -> None:
        worker = ask("/predictions/stub").json()[0]["pid"]
        busy = Path(psutil.Process(worker).cwd()) / f"busy-{worker}"
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, "/predictions/stub", body)
            deadline = time.monotonic() + 600
            while not busy.exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)  # between two looks
            os.kill(worker, signal.SIGKILL)
            response = answer.result()
        assert response.status_code == 200
        assert response.json()[0]["pid"] != worker
        stub_server.wait_ready(60)

    def test_a_request_that_kills_every_worker_is_507_after_two(
        self, ask: Ask, stub_server: TorchServe
    ) -> None:
        assert error(ask("/predictions/stub", b"die")) == (507, "worker_died")
        stub_server.wait_ready(60)

    def test_a_full_queue_is_429_and_says_when_to_come_back(self, ask: Ask) -> None:
        with ThreadPoolExecutor(QUEUE + 8) as pool:
            responses = list(pool.map(lambda _: ask("/predictions/narrow", b"sleep 0.5"), range(QUEUE + 8)))
        refused = [response for response in responses if response.status_code != 200]
        assert refused
        assert len(refused) < len(responses)
        assert {error(response) for response in refused} == {(429, "overloaded")}
        assert {response.headers["retry-after"] for response in refused} == {"1"}

    def test_no_answer_in_time_is_504(self, stub_server: TorchServe) -> None:
        with Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway:
            gateway.route_seconds = 1
            gateway.start()
            response = requests.post(f"{gateway.url}/predictions/stub", b"sleep 2", timeout=600)
            assert error(response) == (504, "timeout")

    def test_what_fits_no_queue_is_refused_at_the_door_at_once(self, stub_server: TorchServe) -> None:
        limits = Limits(max_requests=2)
        with (
            Gateway(
                stub_server, GatewayOptions(ports.free(1)[0], limits=limits), response_timeout=30
            ) as gateway,
            ThreadPoolExecutor(2) as pool,
        ):
            gateway.start()
            url = f"{gateway.url}/predictions/stub"
            answers = [pool.submit(requests.post, url, b"sleep 4", timeout=600) for _ in range(2)]
            deadline = time.monotonic() + 600
            while gateway.active() < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)  # between two looks
            refused = requests.post(url, b"abc", timeout=600)
            assert gateway.active() == 2  # it did not wait for them
            assert error(refused) == (429, "overloaded")
            assert refused.headers["retry-after"] == "1"
            assert [answer.result().status_code for answer in answers] == [200, 200]

    def test_a_torchserve_that_is_gone_is_503(self, stub_server: TorchServe, tmp_path: Path) -> None:
        gone = TorchServe(stub_server.store, ["stub"], tmp_path)
        gone.temp = Path("/nowhere")  # and no socket of its management API
        with Gateway(gone, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway:
            gateway.start()
            response = requests.post(f"{gateway.url}/predictions/stub", b"abc", timeout=600)
            assert error(response) == (503, "unavailable")
            assert response.headers["retry-after"] == "1"

    def test_errors_in_a_row_do_not_cost_the_next_request_its_connection(self, ask: Ask) -> None:
        """TorchServe closes its side after every error; the gateway must not send into that."""
        with requests.Session() as session:
            url = ask("/ping", method="GET").url.replace("/ping", "/predictions")
            statuses = []
            for _ in range(40):
                statuses.append(session.post(f"{url}/nobody", b"abc", timeout=600).status_code)
                statuses.append(session.post(f"{url}/stub", b"abc", timeout=600).status_code)
        assert statuses == [404, 200] * 40


class TestDraining:
    def test_requests_in_flight_are_answered_and_new_connections_refused(
        self, stub_server: TorchServe
    ) -> None:
        with (
            Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway,
            ThreadPoolExecutor(1) as pool,
        ):
            gateway.start()
            url = f"{gateway.url}/predictions/stub"
            flying = pool.submit(requests.post, url, b"sleep 1.5", timeout=600)
            wait_until(lambda: gateway.active() == 1)
            gateway.stop_accepting()
            with pytest.raises(requests.ConnectionError):
                requests.post(url, b"abc", timeout=600)
            assert gateway.drain(grace=20) == 0
            response = flying.result()
            assert response.status_code == 200
            assert response.headers["connection"] == "close"

    def test_the_grace_bounds_the_wait_and_says_what_is_left(self, stub_server: TorchServe) -> None:
        with (
            Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway,
            ThreadPoolExecutor(1) as pool,
        ):
            gateway.start()
            flying = pool.submit(requests.post, f"{gateway.url}/predictions/stub", b"sleep 3", timeout=600)
            wait_until(lambda: gateway.active() == 1)
            assert gateway.drain(grace=0.3) == 1
            assert flying.result().status_code == 200

    def test_whoever_is_in_a_hurry_ends_the_wait(self, stub_server: TorchServe) -> None:
        hurry = threading.Event()
        with (
            Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway,
            ThreadPoolExecutor(2) as pool,
        ):
            gateway.start()
            pool.submit(requests.post, f"{gateway.url}/predictions/stub", b"sleep 3", timeout=600)
            wait_until(lambda: gateway.active() == 1)
            draining = pool.submit(gateway.drain, 60.0, hurry.is_set)
            hurry.set()
            assert draining.result(timeout=2) == 1


class TestStarting:
    def test_a_taken_port_is_one_line(self, stub_gateway: Gateway, stub_server: TorchServe) -> None:
        second = Gateway(stub_server, GatewayOptions(stub_gateway.port), response_timeout=30)
        with pytest.raises(BundleError, match=rf"port {stub_gateway.port} is taken .* PORT="):
            second.start()

    def test_a_faulty_configuration_is_one_line_with_envoys_reason(
        self, stub_server: TorchServe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as faulty:
            monkeypatch.setattr(Configuration, "render", lambda _: "static_resources: {listeners: 7}")
            with pytest.raises(ServerError, match="the gateway ended while starting: ") as caught:
                faulty.start()
            assert "\n" not in str(caught.value)

    def test_nothing_is_left_when_it_stops(self, stub_server: TorchServe) -> None:
        gateway = Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30)
        gateway.start()
        pid, folder = gateway.pid, gateway.folder
        gateway.stop()
        assert pid
        assert folder
        assert not psutil.pid_exists(pid)
        assert not folder.exists()
        assert not ports.is_taken(gateway.port)
