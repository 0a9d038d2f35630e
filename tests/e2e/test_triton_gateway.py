"""The gateway in front of a Triton that does not run: a double answers as handler/triton_model.py and Triton do.

One file, though long: all its tests share the double and its gateway.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import requests
from speaker_worker import ATTEMPT_HEADER

from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions, Limits
from serving.host import ports
from serving.triton.upstream import METHODS
from tests.doubles.triton_server import LENGTH, Double, behind_gateway
from tests.e2e.open_inference import field_of

pytestmark = pytest.mark.e2e

SERVICE = "/inference.GRPCInferenceService/"
MESSAGE = field_of(1, b"demo")  # of ModelInfer
UNSERVED = (
    *("RepositoryIndex", "RepositoryModelLoad", "SystemSharedMemoryRegister", "LogSettings", "TraceSetting"),
    "ModelStreamInfer",
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Double, Gateway]]:
    with behind_gateway(tmp_path_factory.mktemp("run")) as both:
        yield both


Ask = Callable[..., requests.Response]


@pytest.fixture
def double(started: tuple[Double, Gateway]) -> Double:
    made = started[0]
    made.seen.clear()
    made.calls.clear()
    made.failure = None
    made.before.clear()
    made.failures.clear()
    made.answers("200 OK", {"X-Model-Name": "demo", "X-Model-Version": "1.0"}, b'[{"label": "a"}]')
    return made


@pytest.fixture
def ask(started: tuple[Double, Gateway]) -> Ask:
    def ask(path: str, body: bytes = b"clip", method: str = "POST", **headers: str) -> requests.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, started[1].url + path, data=body, headers=given, timeout=600)

    return ask


@pytest.fixture
def call(started: tuple[Double, Gateway]) -> Iterator[Callable[..., bytes]]:
    address = started[1].url.removeprefix("http://")
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        yield lambda path, message=MESSAGE: channel.unary_unary(path)(message, timeout=600)


@pytest.mark.parametrize(
    ("path", "asked", "options"),
    [
        ("/predictions/demo", "/v2/models/demo.http/infer", None),
        ("/predictions/demo/2.0", "/v2/models/demo.http.2.0/infer", None),
        ("/predictions/demo/1.0/top_k/3", "/v2/models/demo.http.1.0/infer", "top_k/3"),
        ("/predictions/demo/2", "/v2/models/demo.http.2.0/infer", None),  # Triton's number of it
        ("/v1/models/demo:predict", "/v2/models/demo.http/infer", None),
        ("/v2/models/demo/infer", "/v2/models/demo.http/infer", None),
        ("/v2/models/demo/versions/2.0/infer", "/v2/models/demo.http.2.0/infer", None),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_of_any_form_is_the_one_input_as_it_stands(
    double: Double, ask: Ask, method: str, path: str, asked: str, options: str | None
) -> None:
    ask(path, b"\x00clip", method, content_type="application/json", content_encoding="gzip", x_top_k="3")
    ((used, target, headers, body),) = double.seen
    assert (used, target, body) == ("POST", asked, b"\x00clip")
    assert (headers[LENGTH], headers["x-content-encoding"], headers["x-top-k"]) == ("0", "gzip", "3")
    assert headers.get("x-path") == options
    assert "content-encoding" not in headers, "Triton would decompress it, without a limit"


def test_the_answer_is_the_models_with_its_status_and_headers(double: Double, ask: Ask) -> None:
    response = ask("/predictions/demo")
    assert (response.status_code, response.json()) == (200, [{"label": "a"}])
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["x-model-name"], response.headers["x-model-version"]) == ("demo", "1.0")
    assert LENGTH not in response.headers
    double.answers("422 Unprocessable Entity", {"X-Model-Name": "demo"}, b'{"error": "\n\n", "code": "x"}')
    response = ask("/predictions/demo")
    assert (response.status_code, response.text) == (422, '{"error": "\n\n", "code": "x"}')


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"{}\x05\0\0\0", b"{}\x05\0\0\x00no\n\n", b"{}\x05\0\0\x00200 OK"]
)
def test_an_answer_that_is_not_the_adapters_is_an_error_of_ours(
    double: Double, ask: Ask, content: bytes
) -> None:
    double.answer = (200, {LENGTH: "2", "Content-Type": "application/octet-stream"}, content)
    response = ask("/predictions/demo")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert LENGTH not in response.headers


def test_binary_tensors_of_the_models_are_said_to_be_so(double: Double, ask: Ask) -> None:
    double.answers("200 OK", {"Inference-Header-Content-Length": "2"}, b"{}\x00\n\n\x01")
    response = ask("/v2/models/demo/infer")
    assert (response.content, response.headers[LENGTH]) == (b"{}\x00\n\n\x01", "2")
    assert response.headers["content-type"] == "application/octet-stream"


def test_an_answer_larger_than_a_connections_buffer_is_whole(double: Double, ask: Ask) -> None:
    double.answers("200 OK", {}, b"x" * 4_000_000)
    assert len(ask("/predictions/demo").content) == 4_000_000


def test_binary_tensors_for_tritons_own_number_of_a_version_are_its_own_form(
    double: Double, ask: Ask
) -> None:
    double.answer = (200, {LENGTH: "2", "Content-Type": "application/octet-stream"}, b"{}\x00\x01")
    tensors = {"inference_header_content_length": "4"}
    response = ask("/v2/models/demo/versions/2/infer", b"{  }\x00", **tensors)
    assert (response.content, response.headers[LENGTH]) == (b"{}\x00\x01", "2")
    ((_, target, headers, body),) = double.seen
    assert (target, headers[LENGTH], body) == ("/v2/models/demo/versions/2/infer", "4", b"{  }\x00")


@pytest.mark.parametrize(
    ("version", "more", "asked"),
    [
        ("", {}, "demo.http"),
        ("/versions/2.0", {}, "demo.http.2.0"),
        ("/versions/9", {}, "demo.http.9"),
        ("/versions/2", {"content_encoding": "gzip"}, "demo.http.2.0"),
    ],
)
def test_other_binary_tensors_are_the_models_to_read_as_behind_torchserve(
    double: Double, ask: Ask, version: str, more: dict[str, str], asked: str
) -> None:
    ask(f"/v2/models/demo{version}/infer", b"{  }\x00", inference_header_content_length="4", **more)
    ((_, target, headers, body),) = double.seen
    assert (target, body) == (f"/v2/models/{asked}/infer", b"{  }\x00")
    assert (headers[LENGTH], headers[f"x-{LENGTH}"]) == ("0", "4")


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (400, "corrupt_audio: a broken clip", (422, "corrupt_audio", "a broken clip", None)),
        (400, "audio_too_long[3]: 99 s", (413, "audio_too_long", "99 s", 3)),
        (400, "unexpected inference input 'x'", (400, "malformed_request", "unexpected inference input 'x'", None)),
        (500, "Unable to set 'classification': attempt to access JSON", (400, "malformed_request", "Unable to", None)),
        (500, "failed to get request params.: attempt to get members", (400, "malformed_request", "params", None)),
        (500, "failed to parse the request JSON buffer: at 7", (400, "malformed_request", "failed to parse", None)),
        (404, "Request for unknown model: 'no.http' is not found", (404, "model_not_found", ": no", None)),
        (404, "Request for unknown model: 'demo' version 9", (404, "model_not_found", "demo, version 9", None)),
        (503, "Exceeds maximum queue size", (429, "overloaded", "too many requests", None)),
        (503, "Request timeout expired", (504, "timeout", "waited in the queue", None)),
        (503, "worker_died: 2 workers ended", (507, "worker_died", "2 workers ended", None)),
        (400, "Stub process 'demo_0' is not healthy.", (429, "overloaded", "none of its workers", None)),
        (400, "unexpected input 'Request for unknown model: 'demo''", (400, "malformed_request", "unexpected", None)),
        (500, "anything else", (500, "internal_error", "log says why", None)),
    ],
)  # fmt: skip
def test_an_error_that_triton_words_gets_our_status_and_shape(
    double: Double, ask: Ask, status: int, text: str, expected: tuple[int, str, str, int | None]
) -> None:
    double.fails(status, text)
    response = ask("/v2/models/demo/infer")
    said = response.json()
    assert (response.status_code, said["code"], said.get("instance")) == (
        expected[0],
        expected[1],
        expected[3],
    )
    assert expected[2] in said["error"]
    assert len(double.seen) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Request for unknown model: 'demo.http.1' is not found",
        "Request for unknown model: 'demo' version 1 'x' is not found",
        "Request for unknown model: 'demo' is not found' is not found",
    ],
)
def test_a_model_that_a_caller_makes_up_is_not_waited_for(
    double: Double, call: Callable[..., bytes], text: str
) -> None:
    double.failure = (grpc.StatusCode.NOT_FOUND, text)
    with pytest.raises(grpc.RpcError) as refused:
        call(f"{SERVICE}ModelInfer")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert len(double.calls) == 1


def classes_of(name: bytes, parameter: bytes = b"classification") -> bytes:
    """A ModelInferRequest: of its field 6, name = 1, parameters = 2."""
    return MESSAGE + field_of(
        6, field_of(1, name) + field_of(2, field_of(1, parameter) + field_of(2, b"\x10\x01"))
    )


@pytest.mark.parametrize(
    "message",
    [
        classes_of(b"label"),
        classes_of(b"action.label"),
        classes_of(b"answer") + field_of(7, b"clip"),
        MESSAGE + field_of(6, b"") + classes_of(b"scores") + classes_of(b"label"),
        classes_of(b"scores") + b"\x18\x01",  # a field that is no message's
        b"\xb2\x80\x80\x80\x10" + classes_of(b"label")[7:],  # the key of 6, beyond 32 bits
        MESSAGE + b"\x12\x00" * 1000 + classes_of(b"label"),
        b"message",
    ],
)
def test_classes_of_text_which_would_end_triton_are_not_asked_of_it(
    double: Double, call: Callable[..., bytes], message: bytes
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(f"{SERVICE}ModelInfer", message)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not double.calls


def input_of(shape: bytes, key: int = 3) -> bytes:
    """A ModelInferRequest: of its field 5, shape = 3."""
    return MESSAGE + field_of(5, field_of(1, b"waveform") + field_of(key, shape))


@pytest.mark.parametrize(
    "message",
    [
        input_of(b"\x00\x05"),
        input_of(b"\x80\x00\x05"),
        input_of(b"\x80" * 4 + b"\x10\x05"),  # 2^32, of which Triton keeps the lower 32 bits
        input_of(b"\x80" * 9 + b"\x02\x05"),  # 2^64, of which the lower 64 bits are read
        MESSAGE + field_of(5, field_of(3, b"") + field_of(3, b"\x00") + field_of(3, b"\x05")),
        MESSAGE + field_of(5, b"\x18\x00\x18\x05"),  # not packed
    ],
)
def test_an_input_of_no_clips_which_would_fail_a_batch_is_refused(
    double: Double, ask: Ask, call: Callable[..., bytes], message: bytes
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(f"{SERVICE}ModelInfer", message)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "how many clips" in (refused.value.details() or "")
    for shape, asked in (
        ("[ 0,5]", 0),
        ("[-0, 5]", 0),
        ("[4294967296,5]", 0),
        ("[0e1,5]", 0),
        ("[1, 0]", 1),
        ("[]", 2),
    ):
        head = f'{{"inputs": [{{"shape" : {shape}}}]}}'.encode()
        answer = ask("/v2/models/demo/versions/2/infer", head, inference_header_content_length=str(len(head)))
        assert (answer.status_code, len(double.seen)) == (200 if asked else 400, asked)
    assert call(f"{SERVICE}ModelInfer", input_of(b"\x01\x00"))
    assert len(double.calls) == 1


def test_classes_of_scores_are(double: Double, call: Callable[..., bytes]) -> None:
    for message in (classes_of(b"scores"), classes_of(b"action.score"), classes_of(b"label", b"binary_data")):
        assert call(f"{SERVICE}ModelInfer", message) == message
    assert len(double.calls) == 3


@pytest.mark.parametrize(
    ("name", "parameter", "asked"),
    [
        ("label", "classification", 0),
        ("action.label", "classification", 0),
        ("labe\\u006c", "\\u0063lassification", 0),
        ("scores", "classification", 1),
        ("label", "binary_data", 1),
    ],
)
def test_binary_tensors_ask_no_classes_of_text_of_triton_either(
    double: Double, ask: Ask, name: str, parameter: str, asked: int
) -> None:
    head = f'{{"outputs": [{{"name": "{name}", "parameters": {{"{parameter}": 1}}}}]}}'.encode()
    answer = ask("/v2/models/demo/versions/2/infer", head, inference_header_content_length=str(len(head)))
    assert (answer.status_code, len(double.seen)) == (200 if asked else 400, asked)


ENDED = "in ensemble 'demo.http', Stub process 'demo_0_0' is not healthy."


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, ENDED),
        (500, "in ensemble 'demo.http', out_of_memory: too much"),
        (404, "Request for unknown model: 'demo.http' is not found"),
        (400, "in ensemble 'demo.http', Request for unknown model: 'demo' version 1 is not at ready state"),
    ],
)
def test_a_request_waits_until_another_worker_is_loaded_in_the_place_of_one_that_ended(
    double: Double, ask: Ask, status: int, text: str
) -> None:
    double.fails(status, text, times=3)
    body = b"\x00clip" * 100_000
    response = ask("/predictions/demo", body)
    assert (response.status_code, response.json()) == (200, [{"label": "a"}])
    assert [(headers[ATTEMPT_HEADER], sent == body) for _, _, headers, sent in double.seen] == [
        (str(attempt), True) for attempt in (1, 2, 3, 4)
    ]
    assert len({headers["x-received"] for _, _, headers, _ in double.seen}) == 1, "the worker knows it again"


def test_a_call_waits_until_another_worker_is_loaded(double: Double, call: Callable[..., bytes]) -> None:
    double.failures = [(grpc.StatusCode.INTERNAL, "Stub process 'demo_0_0' is not healthy.")] * 3
    assert call(f"{SERVICE}ModelInfer") == MESSAGE
    assert len(double.calls) == 4
    assert double.metadata[ATTEMPT_HEADER] == "4"


def test_a_request_waits_for_a_worker_as_long_as_for_its_answer_and_no_more_do_than_there_is_room_for(
    double: Double,
) -> None:
    double.fails(500, ENDED)
    options = GatewayOptions(ports.free(1)[0], limits=Limits(max_requests=1))
    with Gateway(double, options, response_timeout=30) as gateway, ThreadPoolExecutor(2) as pool:  # type: ignore[arg-type]
        gateway.route_seconds = 2
        gateway.start()
        # Envoy waits a random time before an attempt: one that comes at once may still count beside the one before it,
        # and is refused. So once is enough.
        for _ in "123":
            asked = [
                pool.submit(requests.post, f"{gateway.url}/predictions/demo", b"clip", timeout=600)
                for _ in "12"
            ]
            refused, late = sorted((each.result() for each in asked), key=lambda each: each.status_code)
            if late.status_code != 429:
                break
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
        429,
        "overloaded",
        "1",
    )
    assert (late.status_code, late.json()["code"]) == (504, "timeout")
    assert not [name for name in {*refused.headers, *late.headers} if name.startswith("x-send")]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index",
        "/v2/repository/models/demo/unload",
        "/v2/models/demo/load",
        "/v2/systemsharedmemory/region/a/register",
        "/v2/cudasharedmemory/status",
        "/v2/logging",
        "/v2/trace/setting",
        "/v2/models/demo/trace/setting",
        "/metrics",
    ],
)
def test_apis_that_load_code_read_memory_or_write_files_are_never_reached(
    double: Double, ask: Ask, path: str
) -> None:
    assert {ask(path, method=method).status_code for method in ("POST", "PUT")} <= {404, 405}
    assert ask(path, b"", "GET").status_code == 404
    assert double.seen == []


def test_over_grpc_inference_health_metadata_and_statistics_are_reached_and_nothing_else(
    double: Double, call: Callable[..., bytes]
) -> None:
    for method in METHODS:
        assert call(SERVICE + method) == MESSAGE
    assert double.calls == [SERVICE + method for method in METHODS]
    for method in UNSERVED:
        with pytest.raises(grpc.RpcError) as refused:
            call(SERVICE + method)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "ModelInfer" in refused.value.details()
    assert len(double.calls) == len(METHODS)


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (
            (grpc.StatusCode.INVALID_ARGUMENT, 'corrupt_audio[1]: a "broken" clip'),
            grpc.StatusCode.INVALID_ARGUMENT,
            {"error": 'a "broken" clip', "code": "corrupt_audio", "instance": 1},
        ),
        (
            (grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'no' is not found"),
            grpc.StatusCode.NOT_FOUND,
            {"error": "no such model, or no such version of it: no", "code": "model_not_found"},
        ),
        (
            (grpc.StatusCode.INTERNAL, "Unable to parse request"),
            grpc.StatusCode.INVALID_ARGUMENT,
            {"error": "the message is not the one that this method takes", "code": "malformed_request"},
        ),
    ],
)
def test_a_failed_calls_message_is_our_error(
    double: Double, call: Callable[..., bytes], failure: Any, code: grpc.StatusCode, said: dict[str, Any]
) -> None:
    double.failure = failure
    with pytest.raises(grpc.RpcError) as failed:
        call(f"{SERVICE}ModelInfer")
    assert (failed.value.code(), json.loads(failed.value.details())) == (code, said)


def test_what_only_the_gateway_says_stands_where_a_message_could_say_otherwise(
    double: Double, ask: Ask, call: Callable[..., bytes]
) -> None:
    call(f"{SERVICE}ModelInfer")
    ask("/predictions/demo", x_probe="yes")
    for given in (double.metadata, double.seen[0][2]):
        assert given["x-probe"] == "no"
        assert {"x-received", "x-answer-within"} <= given.keys()


def test_the_access_log_has_the_path_that_the_caller_used(
    double: Double, ask: Ask, started: tuple[Double, Gateway]
) -> None:
    response = ask("/v1/models/demo:predict", x_request_id="logged")
    assert response.status_code == 200
    lines: list[Any] = []
    for _ in range(600):
        lines = [json.loads(line) for line in started[1].access_log.read_text().splitlines()]
        if found := [line["path"] for line in lines if line["id"] == "logged"]:
            assert found == ["/v1/models/demo:predict"]
            return
        threading.Event().wait(0.1)
    raise AssertionError("the request is not in the access log")
