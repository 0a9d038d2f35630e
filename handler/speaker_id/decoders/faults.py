"""What a decoder's error reply, or its end, means to the caller of the clip."""

from __future__ import annotations

import os
import signal
from typing import Any

from speaker_id.errors import AudioTooCostly, CorruptAudio, Fault, OutOfMemory, RequestError

CODES = {each.code: each for each in RequestError.__subclasses__()}


def told(reply: dict[str, Any], memory: int) -> RequestError:
    """Return the error that a decoder replies with; with its fault, if no clip should be able to cause it.

    Args:
        reply: as `decoder.answer` gives it, or whatever else a damaged decoder sends.
        memory: bytes that a clip may take.
    """
    kind = str(reply.get("fault", ""))
    if not kind:
        return CODES.get(str(reply.get("error")), CorruptAudio)(str(reply.get("message")))
    fault = Fault(kind, str(reply.get("detail"))[:100])
    if kind == "memory":
        return AudioTooCostly(
            f"decoding takes more than {memory >> 20} MiB of memory, the limit: send a shorter clip, or PCM or FLAC",
            fault=fault,
        )
    return CorruptAudio("the audio content cannot be decoded", fault=fault)


def ended(status: int | None, cpu_seconds: float) -> RequestError:
    """Return what the wait status of a decoder that ended while decoding a clip says about the clip."""
    number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else 0
    if status is None or number in (signal.SIGKILL, signal.SIGTERM):  # not by itself: it was killed
        return OutOfMemory(
            "the decoder was killed while decoding this clip, for lack of memory or by an operator: try again",
            fault=Fault("killed"),
        )
    if number == signal.SIGXCPU:
        return AudioTooCostly(
            f"decoding takes more than {cpu_seconds:.3g} s of CPU time, which is what remains of the request's limit: "
            "send a shorter clip, fewer at a time, or PCM or FLAC",
            fault=Fault("cpu"),
        )
    named = number in set(signal.Signals)
    how = signal.Signals(number).name if named else f"wait status {status}"
    return CorruptAudio(
        "the audio content crashed its decoder: it is damaged or malicious", fault=Fault("crash", how)
    )
