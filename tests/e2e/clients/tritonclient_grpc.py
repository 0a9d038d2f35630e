"""`tritonclient.grpc` with its defaults, which are binary tensors both ways."""

from __future__ import annotations

import wave
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import numpy as np
from asked import asked, tell
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

it = asked()
client = grpc.InferenceServerClient(it.url.removeprefix("http://"))
mine = {name.lower(): value for name, value in it.headers.items()}


def ranking(answer: grpc.InferResult) -> list[list[Any]]:
    labels, scores = answer.as_numpy("label")[0], answer.as_numpy("score")[0]
    return [[label.decode(), float(score)] for label, score in zip(labels, scores, strict=True)]


def clip(audio: bytes) -> grpc.InferInput:
    tensor = grpc.InferInput("audio", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[audio]], dtype=np.object_))
    return tensor


def waveform() -> grpc.InferInput:
    with wave.open(str(it.wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    tensor = grpc.InferInput("waveform", [1, len(samples)], "FP32")
    tensor.set_data_from_numpy(samples[None])
    return tensor


def infer(tensor: grpc.InferInput, model: str = "demo", **more: Any) -> grpc.InferResult:
    return client.infer(model, [tensor], **{"headers": mine} | more)


def classes(of: str) -> list[list[Any]]:
    """Triton's own top-k: `score:index:label`, of its scores, or of ours behind another server."""
    wanted = [grpc.InferRequestedOutput(of, class_count=2)]
    entries = infer(clip(it.clip.read_bytes()), outputs=wanted).as_numpy(of).reshape(-1)
    return [[entry.decode().split(":")[2], float(entry.decode().split(":")[0])] for entry in entries]


def later() -> list[list[Any]]:
    answered: SimpleQueue[Any] = SimpleQueue()
    tensors = [clip(it.clip.read_bytes())]
    client.async_infer("demo", tensors, lambda result, error: answered.put(error or result), headers=mine)
    answer = answered.get(timeout=120)
    if isinstance(answer, Exception):
        raise answer
    return ranking(answer)


def top_k() -> dict[str, Any]:
    answer = infer(clip(it.clip.read_bytes()), request_id="r-1", parameters={"top_k": 2})
    return {"id": answer.get_response().id, "label": [label for label, _ in ranking(answer)]}


def about() -> dict[str, Any]:
    return {
        "live": client.is_server_live(headers=mine),
        "ready": client.is_server_ready(headers=mine),
        "model ready": client.is_model_ready("demo", headers=mine),
        "another ready": client.is_model_ready("nobody", headers=mine),
        "server": client.get_server_metadata(headers=mine).name,
        "metadata": client.get_model_metadata("demo", headers=mine).name,
        "config": client.get_model_config("demo", headers=mine).config.name,
        "statistics": client.get_inference_statistics("demo", headers=mine).model_stats[0].name,
    }


def refused(call: Any) -> dict[str, str]:
    try:
        call()
    except InferenceServerException as exc:
        return {"status": str(exc.status()).removeprefix("StatusCode."), "said": exc.message()}
    return {}


# What could load code, read the server's memory, write its log or trace files
CLOSED = {
    "repository index": lambda headers: client.get_model_repository_index(headers=headers),
    "load": lambda headers: client.load_model("demo", headers=headers),
    "unload": lambda headers: client.unload_model("demo", headers=headers),
    "system memory": lambda headers: client.get_system_shared_memory_status(headers=headers),
    "register": lambda headers: client.register_system_shared_memory("a", "/a", 8, headers=headers),
    "unregister": lambda headers: client.unregister_system_shared_memory(headers=headers),
    "cuda memory": lambda headers: client.get_cuda_shared_memory_status(headers=headers),
    "register cuda": lambda headers: client.register_cuda_shared_memory("a", b"YQ==", 0, 8, headers=headers),
    "unregister cuda": lambda headers: client.unregister_cuda_shared_memory(headers=headers),
    "trace": lambda headers: client.get_trace_settings(headers=headers),
    "set trace": lambda headers: client.update_trace_settings(settings={"trace_file": "/tmp/a"}, headers=headers),
    "log": lambda headers: client.get_log_settings(headers=headers),
    "set log": lambda headers: client.update_log_settings({"log_file": "/tmp/a"}, headers=headers),
}  # fmt: skip


def stream(headers: Any) -> None:
    answered: SimpleQueue[Any] = SimpleQueue()
    with grpc.InferenceServerClient(it.url.removeprefix("http://")) as streaming:
        streaming.start_stream(lambda result, error: answered.put(error or result), headers=headers)
        with suppress(InferenceServerException):  # refused already, which the callback is told
            streaming.async_stream_infer("demo", [clip(it.clip.read_bytes())])
        answer = answered.get(timeout=120)
    if isinstance(answer, Exception):
        raise answer


CLOSED["stream"] = stream


tell({
    "clip": lambda: ranking(infer(clip(it.clip.read_bytes()))),
    "waveform": lambda: ranking(infer(waveform(), parameters={"sampling_rate": 16000})),
    "gzip": lambda: ranking(infer(clip(it.clip.read_bytes()), compression_algorithm="gzip")),
    "async_infer": later,
    "classes of scores": lambda: classes("scores"),
    "classes of score": lambda: classes("score"),
    "top_k": top_k,
    "about": about,
    "no audio": lambda: refused(lambda: infer(clip(it.notes.read_bytes()))),
    "no model": lambda: refused(lambda: infer(clip(it.clip.read_bytes()), "nobody")),
    "no token": lambda: refused(lambda: infer(clip(it.clip.read_bytes()), headers={})),
    "too large": lambda: refused(lambda: infer(clip(bytes(33 << 20)))),
    "closed": lambda: {name: refused(lambda call=call: call(mine)) for name, call in CLOSED.items()},
    "closed without token": lambda: {name: refused(lambda call=call: call({})) for name, call in CLOSED.items()},
})  # fmt: skip
client.close()
