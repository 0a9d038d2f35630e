"""gRPC: `Predictions` of TorchServe answers the same JSON body, a clip's error included, since it drops the status.

What the gateway refuses by itself has a status of gRPC's, and it answers grpc.health.v1.

The stubs are generated from the .proto files that TorchServe's own jar carries.
"""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import grpc
import pytest
import requests
import ts
from grpc_tools import protoc

from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.torchserve.process import TorchServe
from tests.e2e.odd_requests import HEALTH, SERVICE, field_of, message
from tests.e2e.raw import over_http2

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).resolve().parents[2] / "models" / "demo" / "samples"
AUDIO = sorted(SAMPLES.glob("*.flac"))[0].read_bytes()
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, ModuleType]]:
    folder = tmp_path_factory.mktemp("proto")
    with zipfile.ZipFile(Path(ts.__file__).parent / "frontend" / "model-server.jar") as jar:
        jar.extract("inference.proto", folder)
        jar.extract("google/rpc/status.proto", folder)
    include = Path(protoc.__file__).parent / "_proto"
    arguments = ["", f"-I{folder}", f"-I{include}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main([*arguments, "inference.proto", "google/rpc/status.proto"]) == 0
    sys.path.insert(0, str(folder))
    importlib.import_module("google.protobuf")
    import google

    google.__path__.append(str(folder / "google"))  # google/rpc/status_pb2 lies beside protobuf's own package
    yield importlib.import_module("inference_pb2"), importlib.import_module("inference_pb2_grpc")
    sys.path.remove(str(folder))


def predict(server: TorchServe, stubs: tuple[ModuleType, ModuleType], **parts: bytes) -> bytes:
    messages, services = stubs
    with grpc.insecure_channel(server.grpc, [("grpc.enable_http_proxy", 0)]) as channel:
        service = services.InferenceAPIsServiceStub(channel)
        answer = service.Predictions(messages.PredictionsRequest(model_name="demo", input=parts), timeout=600)
        prediction: bytes = answer.prediction
        return prediction


def test_the_answer_is_the_same_json(server: TorchServe, stubs: tuple[ModuleType, ModuleType]) -> None:
    over_http = requests.post(f"{server.url}/predictions/demo", data=AUDIO, timeout=600).json()
    over_grpc = json.loads(predict(server, stubs, data=AUDIO))
    assert [entry["label"] for entry in over_grpc] == [entry["label"] for entry in over_http]
    assert over_grpc[0]["score"] == pytest.approx(over_http[0]["score"], abs=1e-6)


def test_options_are_further_inputs(server: TorchServe, stubs: tuple[ModuleType, ModuleType]) -> None:
    assert len(json.loads(predict(server, stubs, data=AUDIO, top_k=b"2"))) == 2


def test_an_error_is_in_the_body(server: TorchServe, stubs: tuple[ModuleType, ModuleType]) -> None:
    error = json.loads(predict(server, stubs, data=b"no audio"))
    assert error["code"] == "unsupported_media"


def call(
    gateway: Gateway, method: str, message: bytes = b"", timeout: float = 600
) -> tuple[grpc.StatusCode, Any]:
    """The status of a call, with its answer or with our error."""
    with grpc.insecure_channel(f"{LOOPBACK}:{gateway.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            return grpc.StatusCode.OK, channel.unary_unary(method)(message, timeout=timeout)
        except grpc.RpcError as refused:
            return refused.code(), json.loads(refused.details())


@pytest.mark.parametrize(
    ("service", "answer"),
    [(b"", SERVING), (b"stub", SERVING), (b"org.pytorch.serve.grpc.inference.InferenceAPIsService", SERVING)],
)
def test_health_says_serving(stub_gateway: Gateway, service: bytes, answer: bytes) -> None:
    asked = field_of(1, service) if service else b""
    assert call(stub_gateway, f"{HEALTH}Check", asked) == (grpc.StatusCode.OK, answer)


def test_health_of_what_is_not_here_is_not_found(stub_gateway: Gateway) -> None:
    status, error = call(stub_gateway, f"{HEALTH}Check", field_of(1, b"nobody"))
    assert (status, error["code"]) == (grpc.StatusCode.NOT_FOUND, "model_not_found")
    assert error["error"].endswith(": nobody")


@pytest.mark.parametrize(
    "framed",
    [
        b"",
        *(bytes(length) for length in (1, 2, 3, 4, 10)),
        b"\1" + bytes(4),
        b"\0\xff\xff\xff\xff",
        bytes(4) + b"\2a",
    ],
)
def test_a_health_check_that_is_not_one_whole_message_is_an_invalid_argument(
    stub_gateway: Gateway, framed: bytes
) -> None:
    """An error in a script would let the call pass, to nobody."""
    headers = [("content-type", "application/grpc"), ("te", "trailers")]
    answer = over_http2(stub_gateway, "POST", f"{HEALTH}Check", headers, framed)
    assert (answer.headers["grpc-status"], json.loads(answer.headers["grpc-message"])["code"]) == (
        str(grpc.StatusCode.INVALID_ARGUMENT.value[0]),
        "malformed_request",
    )


@pytest.mark.parametrize(
    "line", ["GET /openapi.json", "GET /ping", f"GET {HEALTH}Check", "PUT /predictions/demo"]
)
def test_grpc_with_another_method_than_post_is_refused(gateway: Gateway, line: str) -> None:
    """Envoy would send a file as the message of a status, in one header."""
    answer = over_http2(gateway, *line.split(), [("content-type", "application/grpc")], b"")
    assert answer.headers["grpc-status"] == str(grpc.StatusCode.INVALID_ARGUMENT.value[0])
    assert "made with POST" in answer.headers["grpc-message"]


def test_health_says_not_serving_while_draining_and_ping_is_unavailable(stub_server: TorchServe) -> None:
    with Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway:
        gateway.start()
        before = call(gateway, f"{HEALTH}Check"), call(gateway, f"{SERVICE}Ping")[0]
        gateway.not_ready()
        after = [call(gateway, f"{HEALTH}Check", asked) for asked in (b"", field_of(1, b"stub"))]
        ping = call(gateway, f"{SERVICE}Ping")
        predicted = call(gateway, f"{SERVICE}Predictions", message())[0]
    assert before == ((grpc.StatusCode.OK, SERVING), grpc.StatusCode.OK)
    assert after == [(grpc.StatusCode.OK, NOT_SERVING)] * 2
    assert (ping[0], ping[1]["code"]) == (grpc.StatusCode.UNAVAILABLE, "unavailable")
    assert predicted is grpc.StatusCode.OK  # who is here already is still answered


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (f"{HEALTH}Watch", "call it again instead of Watch"),
        ("/inference.GRPCInferenceService/ServerLive", "only ModelInfer is served here"),
        ("/inference.GRPCInferenceService/ModelStreamInfer", "HTTP under /v2"),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ".proto files"),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ".proto files"),
        ("/nobody.Service/Method", "only Ping and Predictions of InferenceAPIsService and grpc.health.v1"),
    ],
)
def test_what_is_not_served_is_unimplemented_and_says_where_to_turn(
    stub_gateway: Gateway, method: str, said: str
) -> None:
    status, error = call(stub_gateway, method)
    assert status is grpc.StatusCode.UNIMPLEMENTED
    assert said in error["error"]


def test_where_no_server_answers_open_inference_is_unavailable_in_our_words(
    stub_server: TorchServe, tmp_path: Path
) -> None:
    """Envoy's own answer passes the bridge between gRPC and HTTP, which would replace its words."""
    upstream = replace(stub_server.upstream, http=ports.free(1)[0])
    away = copy(stub_server)
    away.run, away.upstream = tmp_path, upstream
    with Gateway(away, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway:
        gateway.start()
        status, error = call(gateway, "/inference.GRPCInferenceService/ModelInfer", message())
    assert (status, error["code"]) == (grpc.StatusCode.UNAVAILABLE, "unavailable")


@pytest.mark.parametrize(
    ("asked", "named"), [(message(b"nobody"), "nobody"), (message(version=b"9"), "stub, version 9")]
)
def test_an_unknown_model_or_version_is_not_found_and_named(
    stub_gateway: Gateway, asked: bytes, named: str
) -> None:
    status, error = call(stub_gateway, f"{SERVICE}Predictions", asked)
    assert status is grpc.StatusCode.NOT_FOUND
    assert error == {
        "error": f"no such model, or no such version of it: {named}",
        "code": "model_not_found",
    }


def test_a_full_queue_is_resource_exhausted(stub_gateway: Gateway) -> None:
    def predict(_: int) -> tuple[grpc.StatusCode, Any]:
        return call(stub_gateway, f"{SERVICE}Predictions", message(b"narrow", b"sleep 0.3"))

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(predict, range(10)))
    refused = [error["code"] for status, error in answers if status is grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert refused
    assert set(refused) == {"overloaded"}
    assert sum(status is grpc.StatusCode.OK for status, _ in answers) == 10 - len(refused)


def test_past_the_callers_deadline_the_gateway_itself_says_so(stub_gateway: Gateway) -> None:
    """Seen frame by frame: a caller's own library would say it first."""
    asked = message(data=b"sleep 1")
    headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "200m")]
    frame = b"\0" + len(asked).to_bytes(4, "big") + asked
    answer = over_http2(stub_gateway, "POST", f"{SERVICE}Predictions", headers, frame)
    assert answer.headers["grpc-status"] == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
    assert json.loads(unquote(answer.headers["grpc-message"]))["code"] == "timeout"
