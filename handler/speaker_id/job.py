"""A request on its way through the stages, and what became of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from speaker_id import protocol
from speaker_id.batching import Budget
from speaker_id.certainty import Certainty
from speaker_id.clip import Clip
from speaker_id.errors import Cancelled, DeadlineExceeded, OutOfMemory, RequestError
from speaker_id.heads import Source


@dataclass
class Outcome:
    """What became of one payload.

    Attributes:
        answer: what to answer with: an answer of the caller's form, or the error's JSON.
        tensors: the answer to a request of tensors, in place of a text.
        error: what was wrong with the request; None for an answer.
        audio_seconds: decoded audio, in seconds at the model's sampling rate.
        decode_seconds: time spent decoding this request's clips, summed over threads.
        inference_seconds: time of the micro-batches that held clips of this request.
        clips: how many it carried.
        skipped_frames: damaged frames that decoding left out, of all its clips.
        certainties: of its answer, one a clip and head; for monitoring, never for a log.
        json_bytes: how much of the answer is JSON, where binary tensors follow; None for JSON alone.
        message: whether the answer is a message of gRPC, in place of JSON.
    """

    answer: bytes = b""
    error: RequestError | None = None
    audio_seconds: float = 0.0
    decode_seconds: float = 0.0
    inference_seconds: float = 0.0
    clips: int = 0
    skipped_frames: int = 0
    certainties: Sequence[Certainty] = ()
    tensors: protocol.Named = field(default_factory=dict)
    json_bytes: int | None = None
    message: bool = False

    @property
    def body(self) -> Any:
        """The answer's JSON value."""
        return json.loads(self.answer[: self.json_bytes])

    def fail(self, error: RequestError) -> None:
        """Answer with an error."""
        self.error, self.json_bytes = error, None
        self.answer = json.dumps(error.body(), separators=(",", ":")).encode()

    @contextmanager
    def catching(self, out_of_memory: str) -> Iterator[None]:
        """Answer with the request error that is raised inside; a bug still raises.

        Args:
            out_of_memory: message for a caller whose request has no memory left for it.
        """
        try:
            yield
        except RequestError as error:
            self.fail(error)
        except MemoryError:
            self.fail(OutOfMemory(out_of_memory))


@dataclass
class Job:
    """A request on its way through the stages.

    Attributes:
        request: parsed, and within the limits that can be checked before decoding.
        outcome: filled in by every stage.
        budget: CPU time that decoding its clips may still take.
        deadline: seconds since the epoch after which nobody waits for the answer; None for no deadline.
        cancelled: whether its caller has hung up.
        logits: by the clip's index; each (labels,), fp32.
        sources: whose embeddings its answer needs.
        embeddings: those of each clip, by source; each (width,), fp32.
        decode_seconds: one a clip; several threads append.
    """

    request: protocol.Request
    outcome: Outcome
    budget: Budget
    deadline: float | None = None
    cancelled: Callable[[], bool] = lambda: False
    sources: tuple[Source, ...] = ()
    logits: dict[int, Tensor] = field(default_factory=dict)
    embeddings: dict[int, dict[Source, Tensor]] = field(default_factory=dict)
    decode_seconds: list[float] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return self.outcome.error is not None

    def check_awaited(self) -> None:
        """Raise Cancelled or DeadlineExceeded once nobody waits for the answer any more."""
        if self.cancelled():
            raise Cancelled("the request was not processed: its caller hung up")
        if self.deadline is not None and (late := time.time() - self.deadline) > 0:
            passed = f"passed {late:.1f} s before" if late >= 0.05 else "had just passed"
            raise DeadlineExceeded(f"the request was not processed: its deadline {passed}")


@dataclass(frozen=True)
class JobClip:
    """One clip of a job, by its index in the request."""

    job: Job
    index: int

    @property
    def clip(self) -> Clip:
        return self.job.request.clips[self.index]

    def fail(self, error: RequestError) -> None:
        """Fail the whole request with an error that names this clip, unless it has failed already."""
        if not self.job.failed:
            error.instance = self.job.request.instance(self.index)
            self.job.outcome.fail(error)
            self.job.logits.clear()
            self.job.embeddings.clear()
