"""NVIDIA's clients over HTTP and gRPC, with their defaults: `python triton_clients.py HTTP GRPC CLIP` prints JSON.

Run by itself: the clients are in a folder of their own, not among the packages of the tests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http


def ask(client: Any, library: Any, clip: bytes) -> dict[str, Any]:
    """What one client is answered."""

    def infer(name: str, datatype: str, values: Any, **more: Any) -> Any:
        tensor = library.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        return client.infer("demo", [tensor], **more)

    labels = infer("audio", "BYTES", np.array([[clip]], object)).as_numpy("label")[0]
    found: dict[str, Any] = {"label": [label.decode() for label in labels], "ragged": []}
    for length in (8_000, 17_001):
        samples = np.linspace(-0.5, 0.5, length, dtype=np.float32)[None]
        answer = infer("waveform", "FP32", samples, parameters={"sampling_rate": 16_000})
        found["ragged"].append(list(answer.as_numpy("score").shape))
    try:
        infer("audio", "BYTES", np.array([[b"no audio"]], object))
    except library.InferenceServerException as exc:
        found["error"] = str(exc)
    return found


def main(http: str, grpc: str, clip: str) -> None:
    content = Path(clip).read_bytes()
    clients = [
        (tritonclient.http.InferenceServerClient(http), tritonclient.http),
        (tritonclient.grpc.InferenceServerClient(grpc), tritonclient.grpc),
    ]
    sys.stdout.write(json.dumps([ask(client, library, content) for client, library in clients]))


if __name__ == "__main__":
    main(*sys.argv[1:])
