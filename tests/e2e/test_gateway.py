"""What passes the gateway and what does not, in front of a real TorchServe."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import psutil
import pytest
import requests

from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.torchserve.process import TorchServe

pytestmark = pytest.mark.e2e

Ask = Callable[..., requests.Response]

MAX_BYTES = 33_554_432  # config.properties' max_request_size


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

    def test_a_clip_may_be_put(self, ask: Ask) -> None:
        assert ask("/predictions/stub", method="PUT").json()[0]["bytes"] == 3

    def test_ping_passes(self, ask: Ask) -> None:
        assert ask("/ping", b"", method="GET").json() == {"status": "Healthy"}

    @pytest.mark.parametrize(
        "path",
        [
            "/models",
            "/models/stub",
            "/models/stub/invoke",
            "/metrics",
            "/api-description",
            "/explanations/stub",
            "/stub/predict",
            "/v1/models/stub:explain",
            "/v2/health",
            "/v2/models/stub/infer/more",
            "/predictions",
            "/predictions/../models",
            "/predictions/%2e%2e/models",
            "//models",
            "/drain_listeners",
        ],
    )
    def test_nothing_else_does(self, stub_gateway: Gateway, path: str) -> None:
        connection = http.client.HTTPConnection(
            LOOPBACK, stub_gateway.port, timeout=600
        )  # sends the path as it is
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["code"]) == (404, "not_found")

    def test_escaped_slashes_are_refused(self, stub_gateway: Gateway) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, stub_gateway.port, timeout=600)
        with contextlib.closing(connection):
            connection.request("GET", "/predictions/stub%2F1.0")
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["code"]) == (400, "malformed_request")

    def test_grpc_inference_passes_on_the_same_port(self, stub_gateway: Gateway) -> None:
        request = (
            b"\x0a\x04stub" + b"\x1a\x0b" + b"\x0a\x04data\x12\x03abc"
        )  # model_name: stub, input: {data: abc}
        assert b'"bytes": 3' in grpc_call(stub_gateway, "inference.InferenceAPIsService/Predictions", request)

    def test_grpc_management_does_not(self, stub_gateway: Gateway) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            grpc_call(stub_gateway, "management.ManagementAPIsService/ListModels", b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED

    def test_it_listens_on_one_loopback_port_only(self, stub_gateway: Gateway) -> None:
        assert stub_gateway.pid
        connections = psutil.Process(stub_gateway.pid).net_connections("inet")
        listening = {c.laddr for c in connections if c.status == psutil.CONN_LISTEN}
        assert {(address.ip, address.port) for address in listening} == {(LOOPBACK, stub_gateway.port)}


def grpc_call(stub_gateway: Gateway, method: str, request: bytes) -> bytes:
    with grpc.insecure_channel(f"{LOOPBACK}:{stub_gateway.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        answer: bytes = channel.unary_unary(f"/org.pytorch.serve.grpc.{method}")(request, timeout=600)
        return answer


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

    def test_a_multipart_form_is_handed_on_whole(self, stub_gateway: Gateway) -> None:
        """TorchServe would drop the first of two parts of one name, and what is cut off."""
        files = {"data": ("clip.wav", b"abcd")}
        form = requests.Request("POST", f"{stub_gateway.url}/predictions/stub", files=files).prepare()
        with requests.Session() as session:
            answer = session.send(form, timeout=600).json()[0]
        assert answer["bytes"] == len(form.body or b"")
        assert answer["headers"]["x-form"] == form.headers["content-type"]

    def test_the_header_that_says_so_is_the_gateways_alone(self, ask: Ask) -> None:
        answer = ask("/predictions/stub", b"abcd", X_Form="multipart/form-data; boundary=b").json()[0]
        assert "x-form" not in answer["headers"]

    def test_a_body_announced_with_expect_is_asked_for(self, stub_gateway: Gateway) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, stub_gateway.port, timeout=600)
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

    def test_torchserves_own_headers_cannot_be_forged(self, stub_gateway: Gateway) -> None:
        response = requests.post(
            f"{stub_gateway.url}/predictions/stub", b"abc", headers={"url_path": "x"}, timeout=600
        )
        assert response.json()[0]["headers"]["url_path"] == ""

    def test_a_request_id_is_made_and_given_to_handler_caller_and_log(
        self, ask: Ask, stub_gateway: Gateway
    ) -> None:
        response = ask("/predictions/stub?voice=ann")
        made = response.headers["x-request-id"]
        assert response.json()[0]["headers"]["x-request-id"] == made
        entry = log_entry(stub_gateway, made)
        assert (entry["status"], entry["path"], entry["received"]) == (200, "/predictions/stub", 3)
        assert "ann" not in json.dumps(entry)

    def test_a_callers_request_id_is_kept_also_on_errors(self, ask: Ask) -> None:
        assert ask("/predictions/stub", X_Request_Id="mine-1").headers["x-request-id"] == "mine-1"
        assert ask("/nothing", X_Request_Id="mine-2").headers["x-request-id"] == "mine-2"

    def test_nothing_tells_of_the_gateways_make(self, ask: Ask) -> None:
        for path in ("/predictions/stub", "/nothing"):
            names = {name.lower() for name in ask(path).headers}
            assert not {name for name in names if name.startswith("x-envoy") or name == "server"}

    def test_a_large_access_log_gives_way_to_a_new_one(self, stub_server: TorchServe) -> None:
        with Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway:
            gateway.start()
            ask = partial(requests.get, f"{gateway.url}/nothing", timeout=600)
            ask(headers={"x-request-id": "old-1"})
            log_entry(gateway, "old-1")
            gateway.rotate_logs(limit=10)
            ask(headers={"x-request-id": "new-1"})
            log_entry(gateway, "new-1")
            assert "old-1" not in gateway.access_log.read_text()
            assert "old-1" in gateway.access_log.with_suffix(".1.log").read_text()


def log_entry(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """The access log's entry for a request; Envoy writes it within a second or so."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        # after a rotation it does not exist until Envoy has opened it
        written = gateway.access_log.read_text() if gateway.access_log.exists() else ""
        for line in written.splitlines():
            entry: dict[str, Any] = json.loads(line)
            if entry["id"] == request_id:
                return entry
        time.sleep(0.1)
    raise AssertionError(f"{request_id} is not in the access log")


def error(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]
