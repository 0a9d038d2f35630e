"""The gateway in front of a real TorchServe: what passes, what does not, and how errors are worded."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import requests

from bundle import ports
from bundle.gateway import Gateway
from bundle.ports import LOOPBACK
from bundle.torchserve import ServerError, TorchServe

pytestmark = pytest.mark.e2e

MAX_BYTES = 33_554_432  # config.properties' max_request_size
QUEUE = 2  # jobQueueSize of the model `narrow`


@pytest.fixture(scope="module")
def server(
    stub_archive: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TorchServe]:
    store = tmp_path_factory.mktemp("store")
    stub_archive(store, "stub")
    stub_archive(store, "narrow", jobQueueSize=QUEUE)
    with TorchServe(store, ["stub", "narrow"], tmp_path_factory.mktemp("run")) as running:
        running.start()
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def gateway(server: TorchServe) -> Iterator[Gateway]:
    with Gateway(server, ports.free(1)[0], response_timeout=30) as running:
        running.start()
        yield running


@pytest.fixture
def ask(gateway: Gateway) -> Callable[..., requests.Response]:
    """A request to the gateway, as audio unless it says otherwise."""

    def ask(path: str, body: Any = b"abc", method: str = "POST", **headers: str) -> requests.Response:
        given = {"Content-Type": "application/octet-stream"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        return requests.request(method, gateway.url + path, data=body, headers=given, timeout=60)

    return ask


Ask = Callable[..., requests.Response]


def error(response: requests.Response) -> tuple[int, str]:
    """Status and code of an error that has exactly our shape."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"code", "message"}
    return response.status_code, body["error"]["code"]


class TestRoutes:
    @pytest.mark.parametrize(
        "path",
        [
            "/predictions/stub",
            "/predictions/stub/1.0",
            "/predictions/stub/1.0/top_k/3",
            "/v1/models/stub:predict",
            "/v2/models/stub/infer",
        ],
    )
    def test_every_form_of_the_inference_api_passes(self, ask: Ask, path: str) -> None:
        assert ask(path).json()[0]["bytes"] == 3

    def test_ping_passes(self, ask: Ask) -> None:
        assert ask("/ping", method="GET").json() == {"status": "Healthy"}

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/models",
            "/models/stub",
            "/models/stub/invoke",
            "/metrics",
            "/api-description",
            "/invocations",
            "/explanations/stub",
            "/stub/predict",
            "/v1/models/stub",
            "/v1/models/stub:explain",
            "/v2/health/ready",
            "/v2/models/stub/infer/more",
            "/predictions",
            "/predictions/../models",
            "/predictions/%2e%2e/models",
            "//models",
            "/drain_listeners",
        ],
    )
    def test_nothing_else_does(self, gateway: Gateway, path: str) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, gateway.port, timeout=10)  # sends the path as it is
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["error"]["code"]) == (404, "not_found")

    def test_escaped_slashes_are_refused(self, gateway: Gateway) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, gateway.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/predictions/stub%2F1.0")
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["error"]["code"]) == (400, "malformed_request")

    def test_grpc_inference_passes_on_the_same_port(self, gateway: Gateway) -> None:
        request = (
            b"\x0a\x04stub" + b"\x1a\x0b" + b"\x0a\x04data\x12\x03abc"
        )  # model_name: stub, input: {data: abc}
        assert b'"bytes": 3' in grpc_call(gateway, "inference.InferenceAPIsService/Predictions", request)

    def test_grpc_management_does_not(self, gateway: Gateway) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            grpc_call(gateway, "management.ManagementAPIsService/ListModels", b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED

    def test_it_listens_on_one_loopback_port_only(self, gateway: Gateway) -> None:
        assert gateway.pid
        connections = psutil.Process(gateway.pid).net_connections("inet")
        listening = {c.laddr for c in connections if c.status == psutil.CONN_LISTEN}
        assert {(address.ip, address.port) for address in listening} == {(LOOPBACK, gateway.port)}


def grpc_call(gateway: Gateway, method: str, request: bytes) -> bytes:
    with grpc.insecure_channel(f"{LOOPBACK}:{gateway.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        answer: bytes = channel.unary_unary(f"/org.pytorch.serve.grpc.{method}")(request, timeout=30)
        return answer


class TestErrors:
    @pytest.mark.parametrize(
        "path", ["/predictions/nobody", "/predictions/stub/9.9", "/v1/models/nobody:predict"]
    )
    def test_an_unknown_model_or_version(self, ask: Ask, path: str) -> None:
        assert error(ask(path)) == (404, "model_not_found")

    def test_a_bug_in_the_handler_is_500_without_its_text(self, ask: Ask) -> None:
        response = ask("/predictions/stub", b"raise")
        assert error(response) == (500, "internal_error")
        assert "a bug" not in response.text

    def test_a_worker_that_died_over_a_request_is_507(self, ask: Ask, server: TorchServe) -> None:
        assert error(ask("/predictions/stub", b"die")) == (507, "worker_died")
        server.wait_ready(60)

    def test_a_full_queue_is_503_and_says_when_to_come_back(self, ask: Ask) -> None:
        with ThreadPoolExecutor(QUEUE + 8) as pool:
            responses = list(pool.map(lambda _: ask("/predictions/narrow", b"sleep 0.5"), range(QUEUE + 8)))
        refused = [response for response in responses if response.status_code != 200]
        assert refused
        assert len(refused) < len(responses)
        assert {error(response) for response in refused} == {(503, "overloaded")}
        assert {response.headers["retry-after"] for response in refused} == {"1"}

    def test_no_answer_in_time_is_504(self, server: TorchServe) -> None:
        with Gateway(server, ports.free(1)[0], response_timeout=30) as gateway:
            gateway.route_seconds = 1
            gateway.start()
            response = requests.post(f"{gateway.url}/predictions/stub", b"sleep 2", timeout=30)
            assert error(response) == (504, "timeout")

    def test_a_torchserve_that_is_gone_is_503(self, server: TorchServe, tmp_path: Path) -> None:
        gone = TorchServe(server.store, ["stub"], tmp_path)
        with Gateway(gone, ports.free(1)[0], response_timeout=30) as gateway:
            gateway.start()
            response = requests.post(f"{gateway.url}/predictions/stub", b"abc", timeout=30)
            assert error(response) == (503, "unavailable")
            assert response.headers["retry-after"] == "1"

    def test_errors_in_a_row_do_not_cost_the_next_request_its_connection(self, ask: Ask) -> None:
        """TorchServe closes its side after every error; the gateway must not send into that."""
        with requests.Session() as session:
            url = ask("/ping", method="GET").url.replace("/ping", "/predictions")
            statuses = []
            for _ in range(40):
                statuses.append(session.post(f"{url}/nobody", b"abc", timeout=30).status_code)
                statuses.append(session.post(f"{url}/stub", b"abc", timeout=30).status_code)
        assert statuses == [404, 200] * 40


class TestBodies:
    def test_the_largest_body_passes(self, ask: Ask) -> None:
        assert ask("/predictions/stub", bytes(MAX_BYTES)).json()[0]["bytes"] == MAX_BYTES

    def test_one_byte_more_is_413(self, ask: Ask) -> None:
        assert error(ask("/predictions/stub", bytes(MAX_BYTES + 1))) == (413, "request_too_large")

    def test_one_byte_more_in_chunks_is_413(self, ask: Ask) -> None:
        chunks = (bytes(1_048_576) for _ in range(33))
        assert error(ask("/predictions/stub", chunks)) == (413, "request_too_large")

    def test_chunks_are_put_together(self, ask: Ask) -> None:
        assert ask("/predictions/stub", iter([b"abc", b"de"])).json()[0]["bytes"] == 5

    def test_curls_default_type_is_taken_for_audio(self, ask: Ask) -> None:
        """`curl --data-binary @clip.wav` says it sends a form, on which TorchServe by itself fails with 500."""
        response = ask("/predictions/stub", b"RIFF&a=b", Content_Type="application/x-www-form-urlencoded")
        assert response.json()[0]["bytes"] == 8

    def test_a_multipart_form_stays_one(self, gateway: Gateway) -> None:
        files = {"data": ("clip.wav", b"abcd")}
        assert (
            requests.post(f"{gateway.url}/predictions/stub", files=files, timeout=30).json()[0]["bytes"] == 4
        )

    def test_a_body_announced_with_expect_is_asked_for(self, gateway: Gateway) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, gateway.port, timeout=10)
        with contextlib.closing(connection):
            connection.putrequest("POST", "/predictions/stub")
            for name, value in {"Content-Length": "3", "Expect": "100-continue"}.items():
                connection.putheader(name, value)
            connection.endheaders()
            assert connection.sock.recv(1024).startswith(b"HTTP/1.1 100 Continue")
            connection.send(b"abc")
            assert json.loads(connection.getresponse().read())[0]["bytes"] == 3


class TestHeaders:
    def test_options_reach_the_handler(self, ask: Ask) -> None:
        assert ask("/predictions/stub", X_Top_K="3").json()[0]["headers"]["x-top-k"] == "3"

    def test_torchserves_own_headers_cannot_be_forged(self, gateway: Gateway) -> None:
        response = requests.post(
            f"{gateway.url}/predictions/stub", b"abc", headers={"url_path": "x"}, timeout=30
        )
        assert response.json()[0]["headers"]["url_path"] == ""

    def test_a_request_id_is_made_and_given_to_handler_caller_and_log(
        self, ask: Ask, gateway: Gateway
    ) -> None:
        response = ask("/predictions/stub?voice=ann")
        made = response.headers["x-request-id"]
        assert response.json()[0]["headers"]["x-request-id"] == made
        entry = log_entry(gateway, made)
        assert (entry["status"], entry["path"], entry["received"]) == (200, "/predictions/stub", 3)
        assert "ann" not in json.dumps(entry)

    def test_a_callers_request_id_is_kept_also_on_errors(self, ask: Ask) -> None:
        assert ask("/predictions/stub", X_Request_Id="mine-1").headers["x-request-id"] == "mine-1"
        assert ask("/nothing", X_Request_Id="mine-2").headers["x-request-id"] == "mine-2"

    def test_nothing_tells_of_the_gateways_make(self, ask: Ask) -> None:
        for path in ("/predictions/stub", "/nothing"):
            names = {name.lower() for name in ask(path).headers}
            assert not {name for name in names if name.startswith("x-envoy") or name == "server"}


def log_entry(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """The access log's entry for a request; Envoy writes it within a second or so."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for line in gateway.access_log.read_text().splitlines():
            entry: dict[str, Any] = json.loads(line)
            if entry["id"] == request_id:
                return entry
        time.sleep(0.1)
    raise AssertionError(f"{request_id} is not in the access log")


class TestDraining:
    def test_requests_in_flight_are_answered_and_new_connections_refused(self, server: TorchServe) -> None:
        with Gateway(server, ports.free(1)[0], response_timeout=30) as gateway, ThreadPoolExecutor(1) as pool:
            gateway.start()
            url = f"{gateway.url}/predictions/stub"
            flying = pool.submit(requests.post, url, b"sleep 1.5", timeout=30)
            wait_until(lambda: gateway.active() == 1)
            gateway.stop_accepting()
            with pytest.raises(requests.ConnectionError):
                requests.post(url, b"abc", timeout=5)
            assert gateway.drain(grace=20) == 0
            response = flying.result()
            assert response.status_code == 200
            assert response.headers["connection"] == "close"

    def test_the_grace_bounds_the_wait_and_says_what_is_left(self, server: TorchServe) -> None:
        with Gateway(server, ports.free(1)[0], response_timeout=30) as gateway, ThreadPoolExecutor(1) as pool:
            gateway.start()
            flying = pool.submit(requests.post, f"{gateway.url}/predictions/stub", b"sleep 3", timeout=30)
            wait_until(lambda: gateway.active() == 1)
            began = time.monotonic()
            assert gateway.drain(grace=0.3) == 1
            assert time.monotonic() - began < 2
            assert flying.result().status_code == 200

    def test_whoever_is_in_a_hurry_ends_the_wait(self, server: TorchServe) -> None:
        hurry = threading.Event()
        with Gateway(server, ports.free(1)[0], response_timeout=30) as gateway, ThreadPoolExecutor(2) as pool:
            gateway.start()
            pool.submit(requests.post, f"{gateway.url}/predictions/stub", b"sleep 3", timeout=30)
            wait_until(lambda: gateway.active() == 1)
            draining = pool.submit(gateway.drain, 60.0, hurry.is_set)
            hurry.set()
            assert draining.result(timeout=2) == 1


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestStarting:
    def test_a_large_access_log_gives_way_to_a_new_one(self, server: TorchServe) -> None:
        with Gateway(server, ports.free(1)[0], response_timeout=30) as gateway:
            gateway.start()
            ask = partial(requests.get, f"{gateway.url}/nothing", timeout=30)
            ask(headers={"x-request-id": "old-1"})
            log_entry(gateway, "old-1")
            gateway.rotate_log(limit=10)
            ask(headers={"x-request-id": "new-1"})
            log_entry(gateway, "new-1")
            assert "old-1" not in gateway.access_log.read_text()
            assert "old-1" in gateway.access_log.with_suffix(".1.log").read_text()

    def test_a_taken_port_is_one_line(self, gateway: Gateway, server: TorchServe) -> None:
        second = Gateway(server, gateway.port, response_timeout=30)
        with pytest.raises(ServerError, match=rf"port {gateway.port} is taken .* PORT="):
            second.start()

    def test_a_faulty_configuration_is_one_line_with_envoys_reason(
        self, server: TorchServe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Gateway(server, ports.free(1)[0], response_timeout=30) as faulty:
            monkeypatch.setattr(faulty, "render", lambda _: "static_resources: {listeners: 7}")
            with pytest.raises(ServerError, match="the gateway ended while starting: ") as caught:
                faulty.start()
            assert "\n" not in str(caught.value)

    def test_nothing_is_left_when_it_stops(self, server: TorchServe) -> None:
        gateway = Gateway(server, ports.free(1)[0], response_timeout=30)
        gateway.start()
        pid, folder = gateway.pid, gateway.folder
        gateway.stop()
        assert pid
        assert folder
        assert not psutil.pid_exists(pid)
        assert not folder.exists()
        assert not ports.is_taken(gateway.port)
