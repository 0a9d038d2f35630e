"""KServe's `InferenceRESTClient`, both protocols, `InferRequest` as JSON and in binary; `InferenceGRPCClient` too."""

from __future__ import annotations

import base64
import wave
from typing import Any

import numpy as np
from asked import asked, tell_async
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    InferResponse,
    RESTConfig,
)
from kserve.protocol.infer_type import RequestedOutput

it = asked()
clients: dict[str, InferenceRESTClient] = {}  # made in the loop that they are used in


def client(protocol: str) -> InferenceRESTClient:
    if protocol not in clients:
        clients[protocol] = InferenceRESTClient(RESTConfig(protocol=protocol))
    return clients[protocol]


async def v1(audio: bytes, model: str = "demo", headers: dict[str, str] | None = None) -> list[list[Any]]:
    data = {"instances": [{"b64": base64.b64encode(audio).decode()}]}
    headers = it.headers if headers is None else headers
    (ranking,) = (await client("v1").infer(it.url, data, model, headers))["predictions"]
    return [[each["label"], each["score"]] for each in ranking]


def ranking(answer: InferResponse) -> list[list[Any]]:
    outputs = {output.name: output.as_numpy().reshape(-1) for output in answer.outputs}
    labels = [label.decode() if isinstance(label, bytes) else label for label in outputs["label"]]
    return [[label, float(score)] for label, score in zip(labels, outputs["score"], strict=True)]


async def v2(tensor: InferInput, model: str = "demo", headers: Any = None, **more: Any) -> list[list[Any]]:
    request = InferRequest(model, [tensor], **more)
    return ranking(
        await client("v2").infer(it.url, request, model, dict(it.headers if headers is None else headers))
    )


def clip(audio: bytes, binary: bool) -> InferInput:
    tensor = InferInput("audio", [1], "BYTES")
    given = audio if binary else base64.b64encode(audio)
    tensor.set_data_from_numpy(np.array([given], dtype=np.object_), binary_data=binary)
    return tensor


def waveform(binary: bool) -> InferInput:
    with wave.open(str(it.wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    tensor = InferInput("waveform", [1, len(samples)], "FP32", parameters={"sampling_rate": 16000})
    tensor.set_data_from_numpy(samples[None], binary_data=binary)
    return tensor


async def over_grpc(
    audio: bytes, model: str = "demo", headers: dict[str, str] | None = None
) -> list[list[Any]]:
    tensor = InferInput("audio", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[audio]], dtype=np.object_), binary_data=True)
    metadata = [(name.lower(), value) for name, value in (it.headers if headers is None else headers).items()]
    async with InferenceGRPCClient(it.url.removeprefix("http://")) as grpc_client:
        return ranking(await grpc_client.infer(InferRequest(model, [tensor]), headers=metadata))


async def about() -> dict[str, Any]:
    old, new, headers = client("v1"), client("v2"), it.headers
    return {
        "v1 live": await old.is_server_live(it.url, headers=headers),
        "v1 model ready": await old.is_model_ready(it.url, "demo", headers=headers),
        "v2 live": await new.is_server_live(it.url),
        "v2 ready": await new.is_server_ready(it.url),
        "v2 model ready": await new.is_model_ready(it.url, "demo", headers=headers),
        "v2 another ready": await new.is_model_ready(it.url, "nobody", headers=headers),
    }


async def close() -> None:
    for each in clients.values():
        await each.close()


audio, notes = it.clip.read_bytes(), it.notes.read_bytes()
tell_async(
    {
        "v1 clip": lambda: v1(audio),
        "v1 no audio": lambda: v1(notes),
        "v1 no model": lambda: v1(audio, "nobody"),
        "v1 no token": lambda: v1(audio, headers={}),
        "v2 clip": lambda: v2(clip(audio, binary=False)),
        "v2 clip in binary": lambda: v2(clip(audio, binary=True)),
        "v2 waveform": lambda: v2(waveform(binary=False)),
        "v2 waveform in binary": lambda: v2(waveform(binary=True)),
        "v2 all in binary": lambda: v2(clip(audio, binary=True), parameters={"binary_data_output": True}),
        "v2 outputs in binary": lambda: v2(
            clip(audio, binary=True),
            request_outputs=[RequestedOutput(name, {"binary_data": True}) for name in ("label", "score")],
        ),
        "v2 no audio": lambda: v2(clip(notes, binary=True)),
        "v2 no model": lambda: v2(clip(audio, binary=True), "nobody"),
        "v2 no token": lambda: v2(clip(audio, binary=True), headers={}),
        "v2 over gRPC": lambda: over_grpc(audio),
        "v2 over gRPC, no audio": lambda: over_grpc(notes),
        "v2 over gRPC, no model": lambda: over_grpc(audio, "nobody"),
        "v2 over gRPC, no token": lambda: over_grpc(audio, headers={}),
        "about": about,
    },
    close,
)
