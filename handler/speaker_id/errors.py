"""What can be wrong with one caller's request.

RequestError
├── MalformedRequest        the body is empty, broken JSON, invalid base64, or of no known form
├── InvalidParameter        an option or key is unknown, or its value is not allowed
├── EmptyAudio              a clip of no bytes, or a recording of zero samples
├── AudioTooLong            a clip is longer than `max_clip_seconds`
├── RecordingTooLong        a recording for windows is longer than `max_recording_seconds`, or its windows take longer
│                           than an answer may; `seconds` of the body says how much fits
├── RequestTooLarge         more clips than `max_request_clips`, more audio than `max_request_seconds`, an answer of
│                           more than `max_response_bytes`, or another limit exceeded
├── UnsupportedMedia        the bytes are no audio format that is decoded here, or the content encoding is not supported
├── CorruptAudio            a known container whose content does not decode
├── TruncatedAudio          the container declares more audio than was received
├── AudioTooCostly          decoding takes more CPU time or memory than one request may use
├── AudioTooShort           less than 25 ms: no frame for the encoder
├── NonFiniteAudio          samples that are NaN, infinite, or so large that they overflow in the model
├── UnsupportedLayout       a sampling rate outside 4–192 kHz, or more than 8 channels
├── OutOfMemory             no memory for this clip or body alone, nor at the gateway's second attempt
├── WorkerDied              two workers ended, one after the other, or took too long, while they had this request
├── Cancelled               its caller hung up before it was processed: metrics and logs count it, and nobody reads it
└── DeadlineExceeded        it waited longer than its `X-Request-Timeout`, or than the gateway keeps callers waiting,
                            and was not processed; or a clip was not decoded within that time, or a minute, because
                            the server is too busy

The core raises these; an adapter has one table that maps them to its server's statuses. A message names the invalid
value and what is allowed. It is safe to show: no path, no stack trace, no line break.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

FAULTS = ("crash", "exception", "cpu", "memory", "deadline", "hang", "killed")
EMPTY_BODY = "the body is empty: send the bytes of an audio file"  # of a clip, a recording, a request


class Fault(NamedTuple):
    """What happened to a decoder process that no clip should be able to cause; for logs and metrics, not for callers.

    Attributes:
        kind: one of FAULTS.
        detail: for example the signal's name.
    """

    kind: str
    detail: str = ""


class RequestError(Exception):
    """One caller's request cannot be answered; the others of its batch are not affected.

    Attributes:
        code: stable, machine-readable name, one for each class.
        message: one line for a person: the invalid value and the limit.
        instance: which clip of the request is invalid, from 0; None for the request as a whole.
        fault: what happened to the decoder process; None if nothing did.
    """

    code: ClassVar[str]

    def __init__(self, message: str, *, instance: int | None = None, fault: Fault | None = None) -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.instance = instance
        self.fault = fault

    def body(self) -> dict[str, Any]:
        """Return the error as every form of request gets it: `{"error": message, "code": code[, "instance": n]}`.

        `error` is text because the clients of Open Inference, KServe, Hugging Face and TorchServe read it as text.
        """
        body: dict[str, Any] = {"error": self.message, "code": self.code}
        if self.instance is not None:
            body["instance"] = self.instance
        return body


class MalformedRequest(RequestError):
    code = "malformed_request"


class InvalidParameter(RequestError):
    code = "invalid_parameter"


class EmptyAudio(RequestError):
    code = "empty_audio"


class AudioTooLong(RequestError):
    code = "audio_too_long"


class RecordingTooLong(RequestError):
    """
    Attributes:
        seconds: of the longest recording that is accepted with the same windows; None where it is not known.
    """

    code = "recording_too_long"

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds

    def body(self) -> dict[str, Any]:
        fits = {} if self.seconds is None else {"seconds": self.seconds}
        return {**super().body(), **fits}


class RequestTooLarge(RequestError):
    code = "request_too_large"


class UnsupportedMedia(RequestError):
    code = "unsupported_media"


class CorruptAudio(RequestError):
    code = "corrupt_audio"


class TruncatedAudio(RequestError):
    code = "truncated_audio"


class AudioTooCostly(RequestError):
    code = "audio_too_costly"


class AudioTooShort(RequestError):
    code = "audio_too_short"


class NonFiniteAudio(RequestError):
    code = "non_finite_audio"


class UnsupportedLayout(RequestError):
    code = "unsupported_layout"


class OutOfMemory(RequestError):
    code = "out_of_memory"


class WorkerDied(RequestError):
    code = "worker_died"


class Cancelled(RequestError):
    code = "cancelled"


class DeadlineExceeded(RequestError):
    code = "deadline_exceeded"
