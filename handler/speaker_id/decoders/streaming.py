"""The process that decodes one recording, part after part, while the reader takes them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from speaker_id import audio
from speaker_id.clip import Waveform
from speaker_id.decoders.decoder import where
from speaker_id.decoders.sandbox import limit_cpu
from speaker_id.decoders.wire import LENGTH, LONGEST_LINE, PART, RESULT, SAMPLES
from speaker_id.errors import RequestError


def serve(connection: socket.socket, file: audio.Span) -> None:
    """Decode a recording, send its blocks and then what there is to say of it; sending waits for the reader.

    Args:
        connection: to the reader, which sends one line of JSON first.
        file: the recording.
    """
    request = json.loads(connection.makefile("rb").readline(LONGEST_LINE))
    result = json.dumps(send_blocks(connection, file, request)).encode()
    connection.sendall(PART.pack(RESULT, len(result)) + result)


def send_blocks(connection: socket.socket, file: audio.Span, request: dict[str, Any]) -> dict[str, Any]:
    """Return `{"skipped_frames", "cpu_seconds"}`, or an error or a fault as `decoder.answer` does."""
    rate, began, sent = request["sampling_rate"], time.thread_time(), 0
    damage = audio.Damage(audio.most_frames(request["max_seconds"]))
    try:
        limit_cpu(request["cpu_seconds"])
        parts = audio.stream(
            file,
            sampling_rate=rate,
            max_seconds=request["max_seconds"],
            min_samples=request["min_samples"],
            damage=damage,
            on_length=lambda seconds: connection.sendall(PART.pack(LENGTH, round(1e3 * seconds))),
        )
        for block in joined(parts, request["block_samples"]):
            connection.sendall(PART.pack(SAMPLES, len(block)))
            connection.sendall(block.data.cast("B"))
            sent += len(block)
            allowed = request["cpu_seconds"] + request["cpu_share"] * sent / rate
            limit_cpu(allowed - (time.thread_time() - began))
    except RequestError as error:
        return {"error": error.code, "message": error.message[:1000]}
    except MemoryError:
        return {"fault": "memory", "detail": "no memory left"}
    except (BrokenPipeError, ConnectionResetError):
        raise  # the reader is gone
    except Exception as exc:  # any input may get here
        return {"fault": "exception", "detail": where(exc)}
    return {"skipped_frames": damage.skipped, "cpu_seconds": time.thread_time() - began}


def joined(parts: Iterable[Waveform], size: int) -> Iterator[Waveform]:
    """Yield the same samples in blocks of one size, the last one shorter."""
    block, filled = np.empty(size, np.float32), 0
    for part in parts:
        while len(part):
            taken = part[: size - filled]
            block[filled : filled + len(taken)] = taken
            part, filled = part[len(taken) :], filled + len(taken)
            if filled == size:
                yield block
                filled = 0
    if filled:
        yield block[:filled]
