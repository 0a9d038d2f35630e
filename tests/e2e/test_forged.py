"""Attacks that are tried: line breaks in headers and paths, JSON and forms beyond all measure."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from serving.gateway.envoy import Gateway
from serving.model_server import ModelServer
from tests.e2e.raw import refusal, send, send_over_http2

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

CLIP = sorted((Path(__file__).resolve().parents[2] / "models" / "demo" / "samples").glob("*.flac"))[0]


class TestForgedHeaders:
    @pytest.mark.parametrize(
        "header",
        [
            "x-request-id: a\rX-Evil: 1",
            "x-request-id: a\nX-Evil: 1",
            "x-request-id: a\r\n X-Evil: 1",
            "x-request-id: a\x00b",
            "x-top-k: 3\rX-Evil: 1",
            "x-top-k: 3\nX-Evil: 1",
            "x-top-k: %0d%0aX-Evil:%201",
            "x-function-to-apply: \x85X-Evil: 1",
            "X-Evil : 1",
            "content-type: audio/x\nX-Evil: 1",
        ],
        ids=repr,
    )
    def test_line_breaks_in_a_header_come_back_in_none(
        self, server: ModelServer, gateway: Gateway, header: str
    ) -> None:
        body = CLIP.read_bytes().decode("latin-1")
        answer = send(
            gateway,
            f"POST /predictions/demo HTTP/1.1\r\nhost: any\r\ncontent-length: {len(body)}\r\n{header}\r\n\r\n{body}",
        )
        assert answer.headers["x-evil"] is None
        assert answer.status in (200, 400)
        assert "\n" not in (answer.headers["x-request-id"] or "")

    @pytest.mark.parametrize(
        "tail", ["top_k/3\r\nX-Evil: 1", "x\nX-Evil: 1", "top_k/<script>", "a" * 5000, "top_k/3\x00"]
    )
    def test_nor_do_those_in_a_paths_tail(self, gateway: Gateway, tail: str) -> None:
        answer = send(
            gateway,
            f"POST /predictions/demo/1.0/{quote(tail)} HTTP/1.1\r\nhost: any\r\ncontent-length: 3\r\n\r\nabc",
        )
        assert answer.headers["x-evil"] is None
        assert answer.status in (400, 403, 404, 414)
        assert answer.headers["content-type"] == "application/json"
        refusal(answer)

    @pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\x00b"], ids=repr)
    def test_nor_does_http_2_carry_them(self, gateway: Gateway, value: str) -> None:
        assert send_over_http2(gateway, _path="/v2", **{"x-request-id": value}) in ("400", "reset")

    def test_the_worker_lives(self, server: ModelServer, gateway: Gateway) -> None:
        well(gateway)


def well(gateway: Gateway) -> None:
    headers = {"content-type": "audio/flac"}
    response = requests.post(
        f"{gateway.url}/predictions/demo", CLIP.read_bytes(), headers=headers, timeout=600
    )
    assert response.status_code == 200


class TestExcess:
    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 10_000 + b"]" * 10_000,
            b'{"inputs": ' * 10_000 + b"1" + b"}" * 10_000,
            b'{"instances": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        ],
        ids=["arrays", "objects", "instances"],
    )
    @pytest.mark.parametrize(
        "path", ["/predictions/demo", "/v1/models/demo:predict", "/v2/models/demo/infer"]
    )
    def test_json_nested_ten_thousand_deep(self, gateway: Gateway, path: str, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        response = requests.post(gateway.url + path, body, headers=headers, timeout=600)
        assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
        well(gateway)

    def test_ten_thousand_instances(self, gateway: Gateway) -> None:
        body = {"instances": [{"b64": "UklGRg=="}] * 10_000}
        response = requests.post(f"{gateway.url}/v1/models/demo:predict", json=body, timeout=600)
        assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
        well(gateway)

    def test_ten_thousand_parts_of_a_form(self, gateway: Gateway) -> None:
        files = [(f"part{number}", (f"{number}.wav", b"RIFF")) for number in range(10_000)]
        response = requests.post(f"{gateway.url}/predictions/demo", files=files, timeout=600)
        assert 400 <= response.status_code < 500
        assert set(response.json()) == {"error", "code"}
        well(gateway)

    def test_a_form_field_of_a_megabyte_in_its_name(self, gateway: Gateway) -> None:
        files = {"a" * 1_000_000: ("clip.wav", b"RIFF")}
        response = requests.post(f"{gateway.url}/predictions/demo", files=files, timeout=600)
        assert 400 <= response.status_code < 500
        assert len(response.content) < 1000
        well(gateway)


def form(*parts: tuple[str, bytes], end: bytes = b"--b--\r\n") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    return b"".join(head % name.encode() + content + b"\r\n" for name, content in parts) + end


AUDIO = CLIP.read_bytes()
FORM = {"content-type": "multipart/form-data; boundary=b"}
JSON = {"content-type": "application/json"}
TENSOR = b'{"name": "a", "shape": [0], "datatype": "BYTES", "data": []}'
REFUSED = {
    "one part twice": (form(("data", AUDIO), ("data", AUDIO)), FORM, 400, "two parts named 'data'"),
    "an option twice": (
        form(("top_k", b"1"), ("top_k", b"2"), ("data", AUDIO)),
        FORM,
        400,
        "two parts named 'top_k'",
    ),
    "a form cut off": (
        form(("data", AUDIO), ("top_k", b"1"), end=b""),
        FORM,
        400,
        "the multipart body is truncated",
    ),
    "200,000 parts": (
        form(*[(f"p{number}", b"") for number in range(200_000)]),
        FORM,
        413,
        "more than 16 parts",
    ),
    "64 × 2,500 outputs": (
        b'{"inputs": [' + TENSOR + b'], "outputs": [' + b",".join([b'{"name": "label"}'] * 2500) + b"]}",
        JSON,
        413,
        "lists and objects; at most 1088",
    ),
    "an output twice": (
        b'{"inputs": [' + TENSOR + b'], "outputs": [{"name": "label"}, {"name": "label"}]}',
        JSON,
        400,
        "output label is requested twice",
    ),
    "a long string among numbers": (
        b'{"instances": [{"sampling_rate": 16000, "array": ["'
        + b"x" * 10_000
        + b'"'
        + b",0" * 100_000
        + b"]}]}",
        JSON,
        400,
        "array must contain only numbers, not a string",
    ),
    "numbers that overflow": (
        b'{"instances": [{"sampling_rate": 16000, "array": [3e34' + b",-3e34" * 16_000 + b"]}]}",
        JSON,
        422,
        "overflow in the model",
    ),
}


class TestBodiesThatAreRefused:
    """Each ended a worker, bloated it, or was answered with something that its caller had not asked for."""

    @pytest.mark.parametrize("name", REFUSED)
    def test_with_the_reason_while_the_worker_lives_on(
        self, server: ModelServer, gateway: Gateway, name: str
    ) -> None:
        body, headers, status, message = REFUSED[name]
        workers = server.worker_pids()
        response = requests.post(f"{gateway.url}/predictions/demo", body, headers=headers, timeout=600)
        assert (response.status_code, message in response.json()["error"]) == (status, True), response.text
        well(gateway)
        assert server.worker_pids() == workers

    def test_a_header_that_is_sent_twice_is_not_guessed_at(self, gateway: Gateway) -> None:
        body = AUDIO.decode("latin-1")
        head = f"POST /predictions/demo HTTP/1.1\r\nhost: any\r\ncontent-length: {len(body)}\r\n"
        for name in ("x-top-k", "inference-header-content-length"):
            answer = send(gateway, f"{head}{name}: 1\r\n{name}: 2\r\n\r\n{body}")
            assert answer.status == 400
            assert b"not '1,2'" in answer.body
