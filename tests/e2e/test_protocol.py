"""Every row of docs/api.md's table of requests, over HTTP, through the gateway of a real server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import soundfile

from serving.gateway.envoy import Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

SAMPLES = Path(__file__).resolve().parents[2] / "models" / "demo" / "samples"
CLIP = sorted(SAMPLES.glob("*.flac"))[0]
AUDIO = CLIP.read_bytes()
B64 = base64.b64encode(AUDIO).decode()


@pytest.fixture(scope="module")
def expected(gateway: Gateway) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = post(gateway, AUDIO, {"Content-Type": "audio/flac"}).json()
    return answer


def post(
    gateway: Gateway,
    data: Any,
    headers: dict[str, str] | None = None,
    path: str = "/predictions/demo",
    **more: Any,
) -> requests.Response:
    response = requests.post(gateway.url + path, data=data, headers=headers, timeout=600, **more)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    return response


def labels(ranking: list[dict[str, Any]]) -> list[str]:
    return [entry["label"] for entry in ranking]


def close(ranking: Any, expected: list[dict[str, Any]]) -> None:
    assert labels(ranking) == labels(expected)
    assert [entry["score"] for entry in ranking] == pytest.approx([e["score"] for e in expected], abs=1e-6)


def test_the_answer_is_hugging_faces_schema_best_first(expected: list[dict[str, Any]]) -> None:
    assert len(expected) == 5
    assert all(set(entry) == {"label", "score"} for entry in expected)
    scores = [entry["score"] for entry in expected]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("content_type", ["application/octet-stream", "audio/wav", "audio/flac", "image/png"])
def test_bytes_of_any_content_type(
    gateway: Gateway, expected: list[dict[str, Any]], content_type: str
) -> None:
    close(post(gateway, AUDIO, {"Content-Type": content_type}).json(), expected)


def test_bytes_without_a_content_type(gateway: Gateway, expected: list[dict[str, Any]]) -> None:
    close(post(gateway, AUDIO).json(), expected)


def test_chunked_bytes(gateway: Gateway, expected: list[dict[str, Any]]) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(AUDIO), 10_000):
            yield AUDIO[start : start + 10_000]

    close(post(gateway, chunks(), {"Content-Type": "audio/flac"}).json(), expected)


@pytest.mark.parametrize("part", ["data", "file", "audio"])
def test_multipart(gateway: Gateway, expected: list[dict[str, Any]], part: str) -> None:
    close(post(gateway, None, files={part: AUDIO}).json(), expected)


def test_multipart_with_options(gateway: Gateway) -> None:
    form = {"top_k": "2", "function_to_apply": "none"}
    answer = requests.post(
        f"{gateway.url}/predictions/demo", files={"data": AUDIO}, data=form, timeout=600
    ).json()
    assert len(answer) == 2
    assert answer[0]["score"] > 1  # a logit, no probability


def test_hugging_face_json(gateway: Gateway, expected: list[dict[str, Any]]) -> None:
    body = {"inputs": B64, "parameters": {"top_k": 3, "function_to_apply": "softmax"}}
    close(post(gateway, None, json=body).json(), expected[:3])


def instances() -> list[dict[str, Any]]:
    samples, rate = soundfile.read(CLIP, dtype="float32")
    return [{"b64": B64}, {"array": samples.tolist(), "sampling_rate": rate}]


@pytest.mark.parametrize("path", ["/predictions/demo", "/v1/models/demo:predict"])
def test_kserve_v1(gateway: Gateway, expected: list[dict[str, Any]], path: str) -> None:
    body = {"instances": instances(), "parameters": {"top_k": 3}}
    predictions = post(gateway, None, path=path, json=body).json()["predictions"]
    assert len(predictions) == 2
    for ranking in predictions:
        close(ranking, expected[:3])


@pytest.mark.parametrize("path", ["/predictions/demo", "/v2/models/demo/infer"])
def test_open_inference_protocol(gateway: Gateway, expected: list[dict[str, Any]], path: str) -> None:
    samples, rate = soundfile.read(CLIP, dtype="float32")
    body = {
        "id": "r-1",
        "inputs": [
            {"name": "audio", "datatype": "BYTES", "shape": [1], "data": [B64]},
            {
                "name": "waveform",
                "datatype": "FP32",
                "shape": [1, len(samples)],
                "data": samples.tolist(),
                "parameters": {"sampling_rate": rate},
            },
        ],
        "parameters": {"top_k": 2},
    }
    answer = post(gateway, None, path=path, json=body).json()
    assert {key: answer[key] for key in ("id", "model_name", "model_version")} == {
        "id": "r-1",
        "model_name": "demo",
        "model_version": "2.0",
    }
    label, score = answer["outputs"]
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "BYTES", [2, 2])
    assert (score["name"], score["datatype"], score["shape"]) == ("score", "FP32", [2, 2])
    assert label["data"] == labels(expected[:2]) * 2
    assert score["data"] == pytest.approx([entry["score"] for entry in expected[:2]] * 2, abs=1e-6)


def binary_request() -> tuple[bytes, dict[str, str]]:
    """The clip as a file and as a waveform, both in bytes after the JSON, as tritonclient.http sends them."""
    samples, rate = soundfile.read(CLIP, dtype="float32")
    tail = [len(AUDIO).to_bytes(4, "little") + AUDIO, samples.astype("<f4").tobytes()]
    inputs = [
        {"name": "audio", "datatype": "BYTES", "shape": [1, 1]},
        {"name": "waveform", "datatype": "FP32", "shape": [1, len(samples)]},
    ]
    for tensor, content, more in zip(inputs, tail, ({}, {"sampling_rate": rate}), strict=True):
        tensor["parameters"] = {"binary_data_size": len(content), **more}
    head = json.dumps({"inputs": inputs, "parameters": {"top_k": 2, "binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    return head + b"".join(tail), headers


@pytest.mark.parametrize("path", ["/v2/models/demo/infer", "/v2/models/demo/versions/2.0/infer"])
def test_binary_tensors_in_and_out(gateway: Gateway, expected: list[dict[str, Any]], path: str) -> None:
    body, headers = binary_request()
    answer = requests.post(gateway.url + path, body, headers=headers, timeout=600)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/octet-stream"
    length = int(answer.headers["Inference-Header-Content-Length"])
    label, score = json.loads(answer.content[:length])["outputs"]
    texts = [entry["label"].encode() for entry in expected[:2] * 2]
    packed = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    assert label == {
        "name": "label",
        "datatype": "BYTES",
        "shape": [2, 2],
        "parameters": {"binary_data_size": len(packed)},
    }
    assert score == {
        "name": "score",
        "datatype": "FP32",
        "shape": [2, 2],
        "parameters": {"binary_data_size": 16},
    }
    assert answer.content[length : length + len(packed)] == packed
    scores = np.frombuffer(answer.content, "<f4", offset=length + len(packed)).tolist()
    assert scores == pytest.approx([entry["score"] for entry in expected[:2] * 2], abs=1e-6)


def test_a_file_alone_is_a_raw_binary_request(gateway: Gateway, expected: list[dict[str, Any]]) -> None:
    headers = {"Inference-Header-Content-Length": "0"}
    answer = requests.post(f"{gateway.url}/v2/models/demo/infer", AUDIO, headers=headers, timeout=600)
    scores = np.frombuffer(answer.content[-20:], "<f4").tolist()
    assert scores == pytest.approx([entry["score"] for entry in expected], abs=1e-6)


def test_the_error_of_a_binary_request_is_json(gateway: Gateway) -> None:
    body, headers = binary_request()
    answer = requests.post(f"{gateway.url}/v2/models/demo/infer", body[:-1], headers=headers, timeout=600)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
    assert "Inference-Header-Content-Length" not in answer.headers
    assert answer.json()["error"].startswith("binary_data_size of input 'waveform' is ")


@pytest.mark.parametrize("name", ["X-Top-K", "x-top-k", "X-TOP-K"])
def test_an_option_by_header(gateway: Gateway, expected: list[dict[str, Any]], name: str) -> None:
    close(post(gateway, AUDIO, {name: "3"}).json(), expected[:3])


def test_an_option_by_path(gateway: Gateway, expected: list[dict[str, Any]]) -> None:
    close(post(gateway, AUDIO, path="/predictions/demo/2.0/top_k/3").json(), expected[:3])


def test_an_embedding_in_every_form_and_place(gateway: Gateway) -> None:
    found = post(gateway, AUDIO, {"X-Output": "embedding"}).json()
    assert (found["model"], found["dim"], len(found["revision"])) == ("voice", len(found["embedding"]), 64)
    assert np.linalg.norm(found["embedding"]) == pytest.approx(1, abs=1e-6)
    parameters = {"output": "embedding"}
    v1 = post(gateway, json.dumps({"instances": [{"b64": B64}] * 2, "parameters": parameters})).json()
    tensor = {"name": "a", "datatype": "BYTES", "shape": [1], "data": [B64]}
    body = {"inputs": [tensor], "outputs": [{"name": "label"}, {"name": "embedding"}]}
    label, vector = post(gateway, json.dumps(body), path="/v2/models/demo/infer").json()["outputs"]
    assert (label["name"], vector["shape"]) == ("label", [1, found["dim"]])
    assert vector["parameters"] == {name: found[name] for name in ("model", "revision", "dim")}
    others = [
        *v1["predictions"],
        post(gateway, AUDIO, path="/predictions/demo?output=embedding").json(),
        {**vector["parameters"], "embedding": vector["data"]},
    ]
    for other in others:
        assert other["revision"] == found["revision"]
        assert other["embedding"] == pytest.approx(found["embedding"], abs=1e-5)


def test_a_head_that_the_model_does_not_have(gateway: Gateway) -> None:
    answer = requests.post(f"{gateway.url}/predictions/demo", AUDIO, headers={"X-Heads": "mood"}, timeout=600)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert (
        answer.json()["error"]
        == "unknown head 'mood'; known: speaker, language; an embedding is output embedding"
    )


def test_response_headers(gateway: Gateway) -> None:
    headers = post(gateway, AUDIO).headers
    info = soundfile.info(CLIP)
    assert headers["X-Model-Name"] == "demo"
    assert headers["X-Model-Version"] == "2.0"
    assert float(headers["X-Audio-Seconds"]) == pytest.approx(info.duration, abs=1e-3)
    assert headers["X-Batch-Size"] == "1"
    assert headers["x-request-id"]
    timing = dict(part.strip().split(";dur=") for part in headers["Server-Timing"].split(","))
    assert list(timing) == ["queue", "decode", "inference"]
    assert float(timing["queue"]) >= 0
    assert all(float(timing[stage]) > 0 for stage in ("decode", "inference"))
