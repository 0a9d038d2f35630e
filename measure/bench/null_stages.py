"""How much of a processor each stage of a worker's main thread takes: written into a folder, a file a worker.

It is copied into archives beside the worker without an encoder (`null_worker`), so it imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

VARIABLE = "SPEAKER_ID_STAGES"  # names the folder
TRANSFER, REST, REQUESTS = "transfer", "rest", "requests"
STAGES = ("parse", "decode", "answer", "metrics", "log", REST)
WRITTEN_SECONDS = 0.1  # between two versions of the file; what is later than the last one is not counted


class Timed:
    """Stages of the worker's main thread, in seconds of a processor. `transfer` is from one batch's end to the next
    one's begin; `rest` is what of a batch no stage took."""

    def __init__(self, folder: Path, pipeline: Any, telemetry: Any) -> None:
        self.file, self.written = folder / f"{os.getpid()}.json", 0.0
        self.spent = dict.fromkeys((TRANSFER, *STAGES, REQUESTS), 0.0)
        self.began = self.ended = time.thread_time()
        object.__setattr__(pipeline, "accept", self.stage("parse", pipeline.accept))  # it is frozen
        pipeline.decoding.start = self.stage("decode", pipeline.decoding.start)
        pipeline.__dict__["answering"] = Called(
            pipeline.answering, self.stage("answer", pipeline.answering.__call__)
        )
        telemetry.batch = self.stage("metrics", telemetry.batch)
        telemetry.event = self.stage("log", telemetry.event)

    def stage(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[name] += time.thread_time() - began

        return timed

    def begin(self) -> None:
        self.began = time.thread_time()
        self.spent[TRANSFER] += self.began - self.ended
        self.before = sum(self.spent[name] for name in STAGES)

    def end(self, requests: int) -> None:
        self.ended = time.thread_time()
        staged = sum(self.spent[name] for name in STAGES) - self.before
        self.spent[REST] += self.ended - self.began - staged
        self.spent[REQUESTS] += requests
        if time.monotonic() - self.written > WRITTEN_SECONDS:
            self.file.write_text(json.dumps(self.spent))
            self.written = time.monotonic()


class Called:
    """An object whose call is another function."""

    def __init__(self, instead_of: Any, function: Callable[..., Any]) -> None:
        self.instead_of, self.function = instead_of, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.instead_of, name)
