"""One decoder process: it answers each clip with a waveform, or with what is wrong with it."""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from speaker_id import audio
from speaker_id.clip import Clip, EncodedAudio, RawAudio
from speaker_id.decoders.sandbox import limit_cpu
from speaker_id.decoders.wire import LONGEST_LINE, write
from speaker_id.errors import RequestError


def serve(connection: socket.socket, body: int, samples: int) -> None:
    """Answer requests, one JSON object a line, until the worker closes the connection.

    Args:
        connection: to the worker.
        body: descriptor of the shared memory that holds the clip.
        samples: descriptor of the shared memory for the waveform.
    """
    requests = connection.makefile("rb")
    while line := requests.readline(LONGEST_LINE):
        reply = answer(json.loads(line), body, samples)
        connection.sendall(json.dumps(reply).encode() + b"\n")


def answer(request: dict[str, Any], body: int, samples: int) -> dict[str, Any]:
    """Decode the clip in shared memory.

    Returns:
        `{"samples", "skipped_frames", "cpu_seconds"}`, `{"error": code, "message"}`, or `{"fault": kind, "detail"}`
        for a fault that no clip should be able to cause.
    """
    limit_cpu(request["cpu_seconds"])
    began = time.thread_time()
    try:
        decoded = audio.decode(
            clip_of(request, os.pread(body, request["size"], 0)),
            sampling_rate=request["sampling_rate"],
            max_seconds=request["max_seconds"],
            min_samples=request["min_samples"],
        )
        write(samples, decoded.waveform.data.cast("B"))
    except RequestError as error:
        return {"error": error.code, "message": error.message[:1000]}
    except MemoryError:
        return {"fault": "memory", "detail": "no memory left"}
    except Exception as exc:  # any input may get here, and none may affect another clip
        return {"fault": "exception", "detail": where(exc)}
    used = time.thread_time() - began
    return {"samples": len(decoded.waveform), "skipped_frames": decoded.skipped_frames, "cpu_seconds": used}


def clip_of(request: dict[str, Any], data: bytes) -> Clip:
    """Return the clip that a request declares: encoded bytes, or samples of the given shape."""
    if "shape" not in request:
        return EncodedAudio(data)
    return RawAudio(np.frombuffer(data, np.float32).reshape(request["shape"]), request["rate"])


def where(exc: Exception) -> str:
    """Return type and place of an exception, for the log. Never its text, which may quote what the caller sent."""
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return f"{type(exc).__name__} at {Path(frame.filename).name}:{frame.lineno}"
