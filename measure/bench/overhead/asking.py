"""The requests that are sent: clips as bytes, by their format, and a WAV file as the Open Inference Protocol has it."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus

from measure import MeasureError
from measure.bench.null_server import MODEL, START_SECONDS, connected
from measure.bench.recordings import recordings

INPUT = {"name": "audio", "shape": [1], "datatype": "BYTES"}
LENGTH = "inference-header-content-length"


@dataclass(frozen=True)
class Question:
    """One request, again and again."""

    path: str
    body: bytes
    headers: dict[str, str]

    def ask(self, connection: http.client.HTTPConnection) -> None:
        connection.request("POST", self.path, self.body, self.headers)
        response = connection.getresponse()
        text = response.read()
        if response.status != HTTPStatus.OK:
            raise MeasureError(f"{self.path}: {response.status} {text[:200]!r}")


def questions(model: str = MODEL) -> dict[str, Question]:
    """By the name that the table has for each."""
    clips = recordings()
    raw = {
        name: Question(f"/predictions/{model}", clip, {"content-type": "application/octet-stream"})
        for name, clip in clips.items()
    }
    infer, wav = f"/v2/models/{model}/infer", clips["wav"]
    text = json.dumps({"inputs": [INPUT | {"data": [base64.b64encode(wav).decode()]}]}).encode()
    element = len(wav).to_bytes(4, "little") + wav
    head = json.dumps({"inputs": [INPUT | {"parameters": {"binary_data_size": len(element)}}]}).encode()
    octets = {"content-type": "application/octet-stream", LENGTH: str(len(head))}
    return raw | {
        "wav in v2 JSON": Question(infer, text, {"content-type": "application/json"}),
        "wav in v2 binary": Question(infer, head + element, octets),
    }


def ask_once(port: int, question: Question) -> None:
    with connected(port) as connection:
        question.ask(connection)


def at_once(port: int, question: Question, connections: int, seconds: float) -> tuple[int, float]:
    """Requests answered to so many callers at once, each over its own connection, and the seconds that it took."""
    ready = threading.Barrier(connections)

    def call() -> tuple[int, float]:
        count = 0
        with connected(port) as connection:
            ready.wait(START_SECONDS)
            began = time.perf_counter()
            while (took := time.perf_counter() - began) < seconds:
                question.ask(connection)
                count += 1
        return count, took

    with ThreadPoolExecutor(connections) as callers:
        calls = [callers.submit(call) for _ in range(connections)]
    counts, times = zip(*(call.result() for call in calls), strict=True)
    return sum(counts), max(times)
