"""TorchServe's adapter: rows in, answers out. The rest is `speaker_id`, which depends on no server."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import torch
from speaker_id.activity import Activity
from speaker_id.encoder.contract import warm_up
from speaker_id.job import Outcome
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload
from speaker_id.settings import Settings
from speaker_id.statuses import STATUS
from speaker_telemetry import Telemetry, code_of, received, trace_of, waited

HARMLESS_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class SpeakerHandler:
    """One worker's model. TorchServe creates it, calls `initialize` once, and `handle` for every batch."""

    def initialize(self, context: Any) -> None:
        """Verify, load and warm up the model; the worker reports READY when this returns.

        Raises:
            CheckpointError: the archive's checkpoint is not what its manifest says.
        """
        # TorchServe's worker reads this for each request: bodies stay bytes, so that one parser bounds what they become
        os.environ["TS_DECODE_INPUT_REQUEST"] = "false"
        config: Mapping[str, Any] = context.model_yaml_config or {}
        settings = Settings(**config.get("speaker_id", {}))
        gpu = context.system_properties.get("gpu_id")
        device = f"cuda:{gpu}" if gpu is not None and torch.cuda.is_available() else "cpu"
        torch.set_num_threads(settings.torch_threads or fair_share(int(config.get("maxWorkers", 1))))
        started = time.perf_counter()
        folder = Path(context.system_properties["model_dir"]) / "checkpoint"
        self.model = Model(context.model_name, context.manifest["model"]["modelVersion"])
        self.telemetry = Telemetry(context.metrics, self.model)
        self.telemetry.event("loading")  # and verifying the hashes
        self.activity = Activity()
        self.pipeline = Pipeline.load(folder, device, settings, self.model, on_hang=self.activity.renew)
        self.telemetry.event("warming")
        warm_up(self.pipeline.encoder, settings.warmup_seconds, self.pipeline.sampling_rate)
        self.telemetry.started(
            device=device,
            threads=torch.get_num_threads(),
            decoders=self.pipeline.decoders.count,
            decoders_filtered=self.pipeline.decoders.server.filtered,
            seconds=round(time.perf_counter() - started, 1),
        )

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer every row of a batch with its own status, headers and body."""
        with self.activity:
            return self.answers(rows, context)

    def answers(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        began = time.perf_counter()
        headers = [context.get_all_request_header(index) for index in range(len(rows))]
        asked = [index for index, each in enumerate(headers) if not is_probe(each)]
        queued = [waited(headers[index]) for index in asked]
        outcomes = self.pipeline.identify([payload(rows[index], headers[index]) for index in asked])
        answers = [b"{}"] * len(rows)  # for a probe, which only asks for an answer
        for index, outcome, wait in zip(asked, outcomes, queued, strict=True):
            self.report(context, index, outcome, len(asked), wait)
            answers[index] = outcome.answer
        if asked:
            self.telemetry.batch(outcomes, queued, time.perf_counter() - began)
        return answers

    def report(self, context: Any, index: int, outcome: Outcome, batch: int, queued: float | None) -> None:
        """Set one answer's status and headers, and log ids, sizes and times: never audio, a label or a score."""
        status = STATUS[type(outcome.error)] if outcome.error else HTTPStatus.OK
        # headers and phrases contain only our own words and numbers: a line break in one would end the worker
        context.set_response_status(code=status.value, phrase=status.phrase, idx=index)
        context.set_response_content_type(index, "application/json")
        headers = {
            "X-Model-Name": self.model.name,
            "X-Model-Version": self.model.version,
            "X-Audio-Seconds": f"{outcome.audio_seconds:.3f}",
            "X-Audio-Skipped-Frames": str(outcome.skipped_frames),
            "X-Batch-Size": str(batch),
            "Server-Timing": f"decode;dur={outcome.decode_seconds * 1e3:.1f}, "
            f"inference;dur={outcome.inference_seconds * 1e3:.1f}",
        }
        for name, value in headers.items():
            context.set_response_header(index, name, value)
        waiting = {} if queued is None else {"queue_ms": round(queued * 1e3, 1)}
        fault = outcome.error.fault if outcome.error else None
        self.telemetry.event(
            "request",
            request=request_id(context, index),
            **trace_of(context.get_all_request_header(index)),
            status=status.value,
            code=code_of(outcome),
            **({"decoder_fault": fault.kind, "decoder_detail": fault.detail} if fault else {}),
            batch=batch,
            clips=outcome.clips,
            audio_s=round(outcome.audio_seconds, 3),
            skipped=outcome.skipped_frames,
            **waiting,
            decode_ms=round(outcome.decode_seconds * 1e3, 1),
            inference_ms=round(outcome.inference_seconds * 1e3, 1),
        )


def payload(row: Mapping[str, Any], headers: Mapping[str, Any]) -> Payload:
    """Convert TorchServe's row: parts by name, and headers with the end of the URL and a record for each part."""
    text = {name: value for name, value in headers.items() if isinstance(value, str)}
    # set by the gateway, which removes what a caller sends under these names
    lowered = {name.lower(): value for name, value in text.items()}
    began, _ = received(text) or (None, None)
    within, form, query = (lowered.get(name, "") for name in ("x-answer-within", "x-form", "x-query"))
    return Payload(row, text, text.get("url_path", ""), began, number(within), form, query)


def is_probe(headers: Mapping[str, Any]) -> bool:
    """Return whether the server's own watch asks for any answer; the gateway removes a caller's such header.

    TorchServe adds the names of a gRPC call's inputs to the headers: their values are records, not text.
    """
    return any(name.lower() == "x-probe" and isinstance(value, str) for name, value in headers.items())


def number(text: str) -> float | None:
    """Parse a header's number; None where it is not set."""
    try:
        return float(text)
    except ValueError:
        return None


def request_id(context: Any, index: int) -> str:
    """Return the id that the caller sees: the gateway's, or its own if that is safe in a log; else TorchServe's."""
    headers = context.get_all_request_header(index).items()
    given = next((value for name, value in headers if name.lower() == "x-request-id"), None)
    if isinstance(given, str) and HARMLESS_ID.fullmatch(given):
        return given
    return str(context.get_request_id(index))


def fair_share(workers: int) -> int:
    """Return how many threads a worker may use so that all of a model's workers together use all cores.

    OMP_NUM_THREADS gives their number where it is set: a container that is limited to two of sixty-four sees them all.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return max(1, int(given) // max(1, workers))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, workers))
