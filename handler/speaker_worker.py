"""One worker of a model server: what the adapters of all servers share. It loads the model and answers batches; an
adapter turns its server's requests into `Asked`, and each `Answer` into what its server sends."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import torch
from speaker_id.activity import Activity
from speaker_id.cancellations import Cancellations
from speaker_id.encoder.contract import warm_up
from speaker_id.errors import WorkerDied
from speaker_id.job import Outcome
from speaker_id.memory import return_freed
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload
from speaker_id.protocol.request import Bytes
from speaker_id.settings import Settings
from speaker_id.statuses import STATUS
from speaker_id.suspects import MOST_WORKERS, Suspects
from speaker_telemetry import RECEIVED_HEADER, Sink, Telemetry, code_of, received, trace_of, waited

HARMLESS_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
Identify = Callable[[Sequence[Payload]], list[Outcome]]
ATTEMPT_HEADER = "x-envoy-attempt-count"  # set by the gateway, from 1
REFUSAL = f"{MOST_WORKERS} workers ended, or took too long, while they had this request; no other gets it"


@dataclass(frozen=True)
class Asked:
    """One request of a batch.

    Attributes:
        payload: its content, as `payload` makes it of a body and its headers.
        id: the server's own, for the log where the caller's is missing or not safe there.
    """

    payload: Payload
    id: str

    @property
    def probe(self) -> bool:
        """Whether the server's own watch asks for any answer; the gateway removes or replaces a caller's header."""
        return self.payload.headers.get("x-probe") == "yes"

    @property
    def again(self) -> bool:
        """Whether the gateway has sent it before, and had no answer."""
        return (self.payload.headers.get(ATTEMPT_HEADER) or "1") != "1"


@dataclass(frozen=True)
class Answer:
    """What one request is answered with.

    Attributes:
        status: of HTTP.
        headers: beside the content type. They hold our own words and numbers only.
        body: JSON, and the bytes of binary tensors after it.
        outcome: what the core made of it; None for a probe.
    """

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes
    outcome: Outcome | None = None

    @property
    def content_type(self) -> str:
        if self.outcome is not None and self.outcome.message:
            return "application/x-protobuf"
        plain = self.outcome is None or self.outcome.json_bytes is None
        return "application/json" if plain else "application/octet-stream"


class Worker:
    """One worker's model; the adapters are its subclasses."""

    def load(self, folder: Path, model: Model, settings: Settings, device: str, sink: Sink) -> None:
        """Verify, load and warm up the model; the worker is ready when this returns.

        Args:
            folder: the archive's, which holds the checkpoint's.
            model: its name and version.
            settings: how it is served.
            device: "cpu" or "cuda:N".
            sink: where metrics go.

        Raises:
            CheckpointError: the archive's checkpoint is not what its manifest says.
        """
        started = time.perf_counter()
        self.model = model
        self.telemetry = Telemetry(sink, model)
        self.telemetry.event("loading")  # and verifying the hashes
        self.pipeline = Pipeline.load(
            folder / "checkpoint",
            device,
            settings,
            model,
            on_hang=lambda: self.activity.renew(),
            cancelled=Cancellations.from_environment(),
        )
        self.telemetry.event("warming")
        pipeline = self.pipeline
        sources = pipeline.answering.joined.sources(pipeline.open_sets)
        warm_up(pipeline.encoder, settings.warmup_seconds, pipeline.sampling_rate, sources)
        pipeline.decoders.ready()
        return_freed()
        self.suspects = Suspects.from_environment()
        self.activity = Activity()  # not before: who sees it shown knows that the model is loaded
        self.telemetry.started(
            device=device,
            threads=torch.get_num_threads(),
            decoders=self.pipeline.decoders.count,
            decoders_filtered=self.pipeline.decoders.server.filtered,
            seconds=round(time.perf_counter() - started, 1),
        )

    def answer(self, batch: Sequence[Asked]) -> list[Answer]:
        """Answer every request of a batch with its own status, headers and body.

        Those that a worker had when it ended are processed after the others, one by one.
        """
        again = [each.payload.key for each in batch if each.again]
        ended = self.suspects.ended() if again else {}
        times = [ended.get(each.payload.key, 0) if each.again else 0 for each in batch]
        groups = [[index for index, count in enumerate(times) if not count]]
        groups += [[index] for index, count in enumerate(times) if count]
        answers: dict[int, Answer] = {}
        for group in filter(None, groups):
            asked = [batch[index] for index in group]
            identify = self.identify if times[group[0]] < MOST_WORKERS else refused
            with self.activity, self.suspects.noted([each.payload.key for each in asked]):
                answers |= zip(group, self._answers(asked, identify), strict=True)
        return [answers[index] for index in range(len(batch))]

    def identify(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Compute what the requests get: whatever one of them may do to a worker, it does here."""
        return self.pipeline.identify(payloads)

    def _answers(self, batch: Sequence[Asked], identify: Identify) -> list[Answer]:
        began = time.perf_counter()
        asked = [each for each in batch if not each.probe]
        queued = [waited(each.payload.headers) for each in asked]
        outcomes = identify([each.payload for each in asked])
        made = iter([self._answer(*pair, len(asked)) for pair in zip(outcomes, queued, strict=True)])
        probed = Answer(HTTPStatus.OK, {}, b"{}")
        answers = [probed if each.probe else next(made) for each in batch]
        if asked:
            self.telemetry.event("request", *map(logged, asked, outcomes, queued), batch=len(asked))
            self.telemetry.batch(outcomes, queued, time.perf_counter() - began)
        return answers

    def _answer(self, outcome: Outcome, queued: float | None, batch: int) -> Answer:
        stages = {} if queued is None else {"queue": queued}
        stages |= {"decode": outcome.decode_seconds, "inference": outcome.inference_seconds}
        headers = {
            "X-Model-Name": self.model.name,
            "X-Model-Version": self.model.version,
            "X-Audio-Seconds": f"{outcome.audio_seconds:.3f}",
            "X-Audio-Skipped-Frames": str(outcome.skipped_frames),
            "X-Batch-Size": str(batch),
            "Server-Timing": ", ".join(f"{name};dur={1e3 * seconds:.1f}" for name, seconds in stages.items()),
        }
        if outcome.json_bytes is not None:
            headers["Inference-Header-Content-Length"] = str(outcome.json_bytes)
        return Answer(status(outcome), headers, outcome.answer, outcome)


def status(outcome: Outcome) -> HTTPStatus:
    return STATUS[type(outcome.error)] if outcome.error else HTTPStatus.OK


def logged(asked: Asked, outcome: Outcome, queued: float | None) -> dict[str, Any]:
    """What a request's line in the log says: ids, sizes and times, and never audio, a label or a score."""
    fault = outcome.error.fault if outcome.error else None
    return {
        "request": request_id(asked),
        **trace_of(asked.payload.headers),
        "status": status(outcome).value,
        "code": code_of(outcome),
        **({"decoder_fault": fault.kind, "decoder_detail": fault.detail} if fault else {}),
        "clips": outcome.clips,
        "audio_s": round(outcome.audio_seconds, 3),
        "skipped": outcome.skipped_frames,
        **({} if queued is None else {"queue_ms": round(queued * 1e3, 1)}),
        "decode_ms": round(outcome.decode_seconds * 1e3, 1),
        "inference_ms": round(outcome.inference_seconds * 1e3, 1),
    }


def refused(payloads: Sequence[Payload]) -> list[Outcome]:
    """Refuse requests that have ended as many workers as one may."""
    outcomes = [Outcome() for _ in payloads]
    for outcome in outcomes:
        outcome.fail(WorkerDied(REFUSAL))
    return outcomes


def payload(parts: Mapping[str, Bytes], headers: Mapping[str, str], path: str = "") -> Payload:
    """Convert a request: parts of the body by name, headers, and the end of the URL.

    The gateway sets x-received, x-answer-within, x-form and x-query, and removes what a caller sends under these names.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    began, _ = received(lowered) or (None, None)
    within, form, query, key = (
        lowered.get(name, "") for name in ("x-answer-within", "x-form", "x-query", RECEIVED_HEADER)
    )
    return Payload(parts, lowered, path, began, number(within), form, query, key)


def number(text: str) -> float | None:
    """Parse a header's number; None where it is not set."""
    try:
        return float(text)
    except ValueError:
        return None


def request_id(asked: Asked) -> str:
    """Return the id that the caller sees: the gateway's, or its own if that is safe in a log; else the server's."""
    given = asked.payload.headers.get("x-request-id")
    return given if given is not None and HARMLESS_ID.fullmatch(given) else asked.id


def fair_share(workers: int) -> int:
    """Return how many threads a worker may use so that all of a model's workers together use all cores.

    OMP_NUM_THREADS gives their number where it is set: a container that is limited to two of sixty-four sees them all.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return max(1, int(given) // max(1, workers))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, workers))
