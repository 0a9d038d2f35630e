"""A request on its way through the stages, and what became of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from speaker_id import protocol
from speaker_id.batching import Budget
from speaker_id.certainty import Certainty
from speaker_id.errors import DeadlineExceeded, RequestError


@dataclass
class Outcome:
    """What became of one payload.

    Attributes:
        answer: the JSON text to answer with: an answer of the caller's form, or the error's.
        error: what was wrong with the request; None for an answer.
        audio_seconds: decoded audio, in seconds at the model's sampling rate.
        decode_seconds: time spent decoding this request's clips, summed over threads.
        inference_seconds: time of the encoder's turns that this request had a part in.
        clips: how many it carried.
        skipped_frames: damaged frames that decoding left out, of all its clips.
        certainties: of its answer, one a clip and head; for monitoring, never for a log.
    """

    answer: bytes = b""
    error: RequestError | None = None
    audio_seconds: float = 0.0
    decode_seconds: float = 0.0
    inference_seconds: float = 0.0
    clips: int = 0
    skipped_frames: int = 0
    certainties: Sequence[Certainty] = ()

    @property
    def body(self) -> Any:
        """The answer's JSON value."""
        return json.loads(self.answer)

    def fail(self, error: RequestError) -> None:
        self.error, self.answer = error, json.dumps(error.body(), separators=(",", ":")).encode()


@dataclass
class Job:
    """A request on its way through the stages."""

    request: protocol.Request
    outcome: Outcome
    budget: Budget
    deadline: float | None = None  # seconds since the epoch
    logits: dict[int, Tensor] = field(default_factory=dict)
    decode_seconds: list[float] = field(default_factory=list)  # one a clip; several threads append

    def fail(self, error: RequestError) -> None:
        self.outcome.fail(error)
        self.logits.clear()

    def check_deadline(self) -> None:
        """Raises DeadlineExceeded once nobody waits for the answer any more."""
        if self.deadline is not None and (late := time.time() - self.deadline) > 0:
            over = f"{late:.1f} s before" if late >= 0.05 else "just before"
            raise DeadlineExceeded(
                f"the request was not worked on: the time for which its caller waits was over {over}"
            )
