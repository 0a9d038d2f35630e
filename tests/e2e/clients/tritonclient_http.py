"""`tritonclient.http` with its defaults: binary tensors both ways."""

from __future__ import annotations

import wave
from typing import Any

import numpy as np
from asked import asked, tell
from tritonclient import http

it = asked()
client = http.InferenceServerClient(it.url.removeprefix("http://"))


def ranking(answer: http.InferResult) -> list[list[Any]]:
    labels, scores = answer.as_numpy("label")[0], answer.as_numpy("score")[0]
    return [[label.decode(), float(score)] for label, score in zip(labels, scores, strict=True)]


def clip(audio: bytes, **more: Any) -> http.InferInput:
    tensor = http.InferInput("audio", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([audio], dtype=np.object_), **more)
    return tensor


def waveform(**more: Any) -> http.InferInput:
    with wave.open(str(it.wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    tensor = http.InferInput("waveform", [1, len(samples)], "FP32")
    tensor.set_data_from_numpy(samples[None], **more)
    return tensor


def infer(tensor: http.InferInput, model: str = "demo", **more: Any) -> http.InferResult:
    return client.infer(model, [tensor], **{"headers": it.headers} | more)


def classes() -> list[list[Any]]:
    """Triton's own top-k: `score:index:label`, of the scores."""
    wanted = [http.InferRequestedOutput("score", class_count=2)]
    entries = infer(clip(it.clip.read_bytes()), outputs=wanted).as_numpy("score").reshape(-1)
    return [[entry.decode().split(":")[2], float(entry.decode().split(":")[0])] for entry in entries]


def later() -> list[list[Any]]:
    pending = client.async_infer("demo", [clip(it.clip.read_bytes())], headers=it.headers)
    return ranking(pending.get_result())


def one_output() -> dict[str, Any]:
    wanted = [http.InferRequestedOutput("label", binary_data=False)]
    answer = infer(clip(it.clip.read_bytes()), outputs=wanted, request_id="r-1", parameters={"top_k": 2})
    return {
        "id": answer.get_response()["id"],
        "label": answer.as_numpy("label")[0].tolist(),
        "score": answer.as_numpy("score"),
    }


def about() -> dict[str, Any]:
    versions = client.get_model_metadata("demo", headers=it.headers)["versions"]
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("demo", headers=it.headers),
        "version ready": client.is_model_ready("demo", "2.0", headers=it.headers),
        "another ready": client.is_model_ready("nobody", headers=it.headers),
        "binary tensors": "binary_tensor_data"
        in client.get_server_metadata(headers=it.headers)["extensions"],
        "versions": versions,
        "config": client.get_model_config("demo", headers=it.headers)["name"],
        "statistics": client.get_inference_statistics("demo", headers=it.headers)["model_stats"][0]["name"],
    }


tell({
    "clip": lambda: ranking(infer(clip(it.clip.read_bytes()))),
    "waveform": lambda: ranking(infer(waveform(), parameters={"sampling_rate": 16000})),
    "waveform as JSON": lambda: ranking(infer(waveform(binary_data=False), parameters={"sampling_rate": 16000})),
    "version": lambda: ranking(infer(clip(it.clip.read_bytes()), model_version="2.0")),
    "gzip": lambda: ranking(infer(clip(it.clip.read_bytes()), request_compression_algorithm="gzip")),
    "async_infer": later,
    "classes": classes,
    "one output": one_output,
    "about": about,
    "no audio": lambda: ranking(infer(clip(it.notes.read_bytes()))),
    "no model": lambda: ranking(infer(clip(it.clip.read_bytes()), "nobody")),
    "no token": lambda: ranking(infer(clip(it.clip.read_bytes()), headers={})),
})  # fmt: skip
client.close()
