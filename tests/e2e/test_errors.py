"""Every error code, with the status that means it, through the gateway of a real server."""

from __future__ import annotations

import io
import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import soundfile
from speaker_id.statuses import STATUS

from serving.gateway.envoy import Gateway
from serving.model_server import ModelServer

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

SAMPLES = Path(__file__).resolve().parents[2] / "models" / "demo" / "samples"
AUDIO = sorted(SAMPLES.glob("*.flac"))[0].read_bytes()


def wav(samples: int, value: float = 0.1, rate: int = 16000, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    data = np.full((samples, channels), value, np.float32)
    soundfile.write(buffer, data, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def flac(seconds: int, rate: int = 16000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(seconds * rate, np.int16), rate, format="FLAC")
    return buffer.getvalue()


def instances(count: int, seconds: float) -> bytes:
    clip = {"array": [0.0] * int(seconds * 4000), "sampling_rate": 4000}
    return json.dumps({"instances": [clip] * count}).encode()


CASES = {
    "malformed_request": b'{"inputs": ',
    "invalid_parameter": b'{"inputs": "UklGRg==", "parameters": {"top_k": 0}}',
    "empty_audio": wav(0),
    "audio_too_long": flac(121),
    "recording_too_long": flac(3601, 4000),
    "request_too_large": instances(65, 0.1),
    "unsupported_media": b"%PDF-1.7 this is no audio",
    "corrupt_audio": AUDIO[:9000] + bytes(3000) + AUDIO[12000:],
    "truncated_audio": wav(16000)[:-20_000],
    "audio_too_short": wav(399),
    "non_finite_audio": wav(16000, float("nan")),
    "unsupported_layout": wav(16000, rate=3999),
    "deadline_exceeded": wav(16000),
}


def post(gateway: Gateway, body: bytes, **more: Any) -> requests.Response:
    headers = {"Content-Type": "application/octet-stream"} | more.pop("headers", {})
    return requests.post(f"{gateway.url}/predictions/demo", data=body, headers=headers, timeout=600, **more)


PHRASES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Payload Too Large"}  # as Envoy has it
HEADERS = {
    "deadline_exceeded": {"X-Request-Timeout": "0.0001"},  # over by the time that a worker has it
    "recording_too_long": {"X-Windows": "3"},
}


def test_every_error_class_is_tried() -> None:
    # by faults of the machine, and by a clip that takes seconds: chaos has them; and what no caller gets
    unprovoked = {"out_of_memory", "audio_too_costly", "worker_died", "cancelled"}
    assert set(CASES) == {error.code for error in STATUS} - unprovoked


@pytest.mark.parametrize("code", CASES)
def test_each_error_has_its_status_its_code_and_one_line(gateway: Gateway, code: str) -> None:
    response = post(gateway, CASES[code], headers=HEADERS.get(code, {}))
    status = {error.code: status for error, status in STATUS.items()}[code]
    assert (response.status_code, response.reason) == (status.value, PHRASES.get(status, status.phrase))
    assert response.headers["Content-Type"] == "application/json"
    error = response.json()
    assert error["code"] == code
    assert "\n" not in error["error"]
    assert not re.search(r"(^|[\s'\"(])/\w", error["error"]), "a path of the server?"


def test_the_gateway_tells_the_handler_how_long_a_caller_waits(gateway: Gateway) -> None:
    def ask(seconds: str, claimed: str = "") -> requests.Response:
        headers = {"content-type": "audio/wav", "x-request-timeout": seconds, "x-received": claimed}
        return requests.post(f"{gateway.url}/predictions/demo", wav(16000), headers=headers, timeout=600)

    assert ask("0.0001").json()["code"] == "deadline_exceeded"
    assert ask("60").status_code == 200
    assert ask("60", claimed="1000.000 0").status_code == 200, "a caller's own moment of arrival was believed"
    assert ask("soon").json()["code"] == "invalid_parameter"


def test_a_request_of_several_says_which_one_was_at_fault(gateway: Gateway) -> None:
    good = {"array": [0.1] * 8000, "sampling_rate": 16000}
    body = {"instances": [good, good, {**good, "sampling_rate": 1}]}
    error = requests.post(f"{gateway.url}/v1/models/demo:predict", json=body, timeout=600).json()
    assert (error["code"], error["instance"]) == ("unsupported_layout", 2)


def test_a_callers_text_reaches_no_header_and_no_status_phrase(server: ModelServer, gateway: Gateway) -> None:
    evil = "x\r\nX-Evil: 1"
    body = {"inputs": "UklGRg==", "parameters": {evil: 1}}
    response = requests.post(f"{gateway.url}/predictions/demo", json=body, timeout=600)
    assert response.status_code == 400
    assert "X-Evil" not in response.headers
    assert "Evil" not in response.reason
    assert server.worker_pids(), "the worker lives"


def test_a_stack_trace_is_never_shown(gateway: Gateway) -> None:
    for body in CASES.values():
        assert "Traceback" not in post(gateway, body).text
