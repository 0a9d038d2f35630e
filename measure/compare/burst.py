"""Saturation: every clip is posted at once, and the whole answers are read, scores included."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from measure.answer import Label, best, parsed
from measure.compare.work import Reference
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target, encode


@dataclass(frozen=True)
class Burst:
    """What one burst gave.

    Attributes:
        seconds: from go to the last answer.
        audio_seconds: that were answered.
        answers: by the clip's name, of those that were answered.
        errors: reasons by the clip's name, of the others.
    """

    seconds: float
    audio_seconds: float
    answers: Reference
    errors: dict[str, str]

    @property
    def throughput(self) -> float:
        """Seconds of audio a second."""
        return self.audio_seconds / self.seconds


def burst(target: Target, clips: Sequence[Clip]) -> Burst:
    """A thread and a connection for each clip; bodies are made, and threads started, before the clock."""
    bodies = [encode(target, clip, clip.path.read_bytes()) for clip in clips]
    go = threading.Barrier(len(clips) + 1)

    def post(body: bytes, headers: dict[str, str]) -> Label | str:
        with requests.Session() as session:
            session.trust_env = False  # no proxy reaches this machine
            go.wait()
            try:
                response = session.post(target.url, body, headers=headers, timeout=(5.0, target.timeout))
            except requests.RequestException as exc:
                return type(exc).__name__
        return read(response.status_code, response.content)

    with ThreadPoolExecutor(len(clips)) as pool:
        futures = [pool.submit(post, *body) for body in bodies]
        go.wait()
        began = time.perf_counter()
        answers = [future.result() for future in futures]
        seconds = time.perf_counter() - began
    named = list(zip(clips, answers, strict=True))
    right = {clip: answer for clip, answer in named if isinstance(answer, Label)}
    return Burst(
        seconds=seconds,
        audio_seconds=sum(clip.seconds for clip in right),
        answers={clip.name: answer for clip, answer in right.items()},
        errors={clip.name: answer for clip, answer in named if isinstance(answer, str)},
    )


def read(status: int, body: bytes) -> Label | str:
    """The best label with its score, whatever structure the server puts its ranking in; else what is wrong."""
    text = body[:200].decode("utf-8", "replace")
    if status != 200:
        return f"{status}: {text}"
    found = best(parsed(body))
    return f"an answer without a ranking: {text}" if found is None or math.isnan(found.score) else found
