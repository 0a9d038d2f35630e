"""Every row of docs/api.md's table of requests, over HTTP, against a real TorchServe."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import soundfile
from huggingface_hub import InferenceClient

from serving.torchserve.process import TorchServe

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).resolve().parents[2] / "models" / "demo" / "samples"
CLIP = sorted(SAMPLES.glob("*.flac"))[0]
AUDIO = CLIP.read_bytes()
B64 = base64.b64encode(AUDIO).decode()


@pytest.fixture(scope="module")
def expected(server: TorchServe) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = post(server, AUDIO, {"Content-Type": "audio/flac"}).json()
    return answer


def post(
    server: TorchServe,
    data: Any,
    headers: dict[str, str] | None = None,
    path: str = "/predictions/demo",
    **more: Any,
) -> requests.Response:
    response = requests.post(server.url + path, data=data, headers=headers, timeout=600, **more)
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
    server: TorchServe, expected: list[dict[str, Any]], content_type: str
) -> None:
    close(post(server, AUDIO, {"Content-Type": content_type}).json(), expected)


def test_bytes_without_a_content_type(server: TorchServe, expected: list[dict[str, Any]]) -> None:
    close(post(server, AUDIO).json(), expected)


def test_chunked_bytes(server: TorchServe, expected: list[dict[str, Any]]) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(AUDIO), 10_000):
            yield AUDIO[start : start + 10_000]

    close(post(server, chunks(), {"Content-Type": "audio/flac"}).json(), expected)


@pytest.mark.parametrize("part", ["data", "file", "audio"])
def test_multipart(server: TorchServe, expected: list[dict[str, Any]], part: str) -> None:
    close(post(server, None, files={part: AUDIO}).json(), expected)


def test_multipart_with_options(server: TorchServe) -> None:
    form = {"top_k": "2", "function_to_apply": "none"}
    answer = requests.post(
        f"{server.url}/predictions/demo", files={"data": AUDIO}, data=form, timeout=600
    ).json()
    assert len(answer) == 2
    assert answer[0]["score"] > 1  # a logit, no probability


def test_hugging_face_json(server: TorchServe, expected: list[dict[str, Any]]) -> None:
    body = {"inputs": B64, "parameters": {"top_k": 3, "function_to_apply": "softmax"}}
    close(post(server, None, json=body).json(), expected[:3])


@pytest.mark.parametrize("top_k", [None, 2])
def test_hugging_faces_own_client(
    server: TorchServe, expected: list[dict[str, Any]], top_k: int | None, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.flac"
    clip.write_bytes(AUDIO)
    client = InferenceClient(model=f"{server.url}/predictions/demo")
    for audio in (AUDIO, str(clip)):
        answer = client.audio_classification(audio, top_k=top_k)
        close([{"label": e.label, "score": e.score} for e in answer], expected[: top_k or 5])


def instances() -> list[dict[str, Any]]:
    samples, rate = soundfile.read(CLIP, dtype="float32")
    return [{"b64": B64}, {"array": samples.tolist(), "sampling_rate": rate}]


@pytest.mark.parametrize("path", ["/predictions/demo", "/v1/models/demo:predict"])
def test_kserve_v1(server: TorchServe, expected: list[dict[str, Any]], path: str) -> None:
    body = {"instances": instances(), "parameters": {"top_k": 3}}
    predictions = post(server, None, path=path, json=body).json()["predictions"]
    assert len(predictions) == 2
    for ranking in predictions:
        close(ranking, expected[:3])


@pytest.mark.parametrize("path", ["/predictions/demo", "/v2/models/demo/infer"])
def test_open_inference_protocol(server: TorchServe, expected: list[dict[str, Any]], path: str) -> None:
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
    answer = post(server, None, path=path, json=body).json()
    assert {key: answer[key] for key in ("id", "model_name", "model_version")} == {
        "id": "r-1",
        "model_name": "demo",
        "model_version": "1.0",
    }
    label, score = answer["outputs"]
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "BYTES", [2, 2])
    assert (score["name"], score["datatype"], score["shape"]) == ("score", "FP32", [2, 2])
    assert label["data"] == labels(expected[:2]) * 2
    assert score["data"] == pytest.approx([entry["score"] for entry in expected[:2]] * 2, abs=1e-6)


@pytest.mark.parametrize("name", ["X-Top-K", "x-top-k", "X-TOP-K"])
def test_an_option_by_header(server: TorchServe, expected: list[dict[str, Any]], name: str) -> None:
    close(post(server, AUDIO, {name: "3"}).json(), expected[:3])


def test_an_option_by_path(server: TorchServe, expected: list[dict[str, Any]]) -> None:
    close(post(server, AUDIO, path="/predictions/demo/1.0/top_k/3").json(), expected[:3])


def test_response_headers(server: TorchServe) -> None:
    headers = post(server, AUDIO).headers
    info = soundfile.info(CLIP)
    assert headers["X-Model-Name"] == "demo"
    assert headers["X-Model-Version"] == "1.0"
    assert float(headers["X-Audio-Seconds"]) == pytest.approx(info.duration, abs=1e-3)
    assert headers["X-Batch-Size"] == "1"
    assert headers["x-request-id"]
    timing = dict(part.strip().split(";dur=") for part in headers["Server-Timing"].split(","))
    assert set(timing) == {"decode", "inference"}
    assert all(float(value) > 0 for value in timing.values())
