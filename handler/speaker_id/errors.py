"""What can be wrong with one caller's request.

RequestError
├── MalformedRequest        the body or its JSON cannot be parsed
├── InvalidParameter        an option is unknown or its value is not allowed
├── EmptyAudio              no audio bytes, or a recording of zero samples
├── AudioTooLong            more seconds than one clip may have
├── RequestTooLarge         more clips, seconds, JSON, parts or answer than one request may have
├── UnsupportedMedia        the bytes are no audio format that we decode
├── CorruptAudio            a known container whose content does not decode
├── TruncatedAudio          the container declares more audio than was received
├── AudioTooCostly          decoding takes more CPU time or memory than one request may use
├── AudioTooShort           fewer samples than the encoder needs for one frame
├── NonFiniteAudio          samples that are NaN, infinite, or overflow in the model
├── UnsupportedLayout       a sampling rate or channel count outside the limits
├── OutOfMemory             no memory was left for one body, clip or answer, even by itself
└── DeadlineExceeded        it waited past the time for which its caller waits

The core raises meanings; an adapter's one table turns them into its server's statuses. A message names the
offending value and what is allowed. It is safe to show: no path, no stack trace, no line break.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

FAULTS = ("crash", "exception", "cpu", "memory", "deadline", "hang", "killed")


class Fault(NamedTuple):
    """What a decoder process met that no clip should be able to cause; for logs and metrics, never shown to callers.

    Attributes:
        kind: one of FAULTS.
        detail: such as the signal's name.
    """

    kind: str
    detail: str = ""


class RequestError(Exception):
    """One caller's request cannot be answered; its batch mates are not concerned.

    Attributes:
        code: stable, machine-readable name, one a class.
        message: one line for a person: the offending value and the limit.
        instance: which clip of the request was at fault, from 0; None for the request as a whole.
        fault: what happened to the decoder process; None where it is well.
    """

    code: ClassVar[str]

    def __init__(self, message: str, *, instance: int | None = None, fault: Fault | None = None) -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.instance = instance
        self.fault = fault

    def body(self) -> dict[str, Any]:
        """The error as every form of request gets it: `{"error": message, "code": code[, "instance": n]}`.

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


class DeadlineExceeded(RequestError):
    code = "deadline_exceeded"
