"""`tritonclient.http.aio` with its defaults."""

from __future__ import annotations

from typing import Any

import numpy as np
from asked import asked, tell_async
from tritonclient.http import InferInput, aio

it = asked()
clients: list[aio.InferenceServerClient] = []  # made in the loop that it is used in


async def infer(audio: bytes, model: str = "demo", headers: dict[str, str] | None = None) -> list[list[Any]]:
    if not clients:
        clients.append(aio.InferenceServerClient(it.url.removeprefix("http://")))
    tensor = InferInput("audio", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([audio], dtype=np.object_))
    answer = await clients[0].infer(model, [tensor], headers=it.headers if headers is None else headers)
    labels, scores = answer.as_numpy("label")[0], answer.as_numpy("score")[0]
    return [[label.decode(), float(score)] for label, score in zip(labels, scores, strict=True)]


async def close() -> None:
    await clients[0].close()


tell_async(
    {
        "clip": lambda: infer(it.clip.read_bytes()),
        "no audio": lambda: infer(it.notes.read_bytes()),
        "no model": lambda: infer(it.clip.read_bytes(), "nobody"),
        "no token": lambda: infer(it.clip.read_bytes(), headers={}),
    },
    close,
)
