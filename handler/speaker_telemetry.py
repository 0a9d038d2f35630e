"""A worker's metrics and its log: one JSON object a line.

They contain ids, sizes, times and statuses. How certain the answers are goes into histograms only, without a request's
id; labels, scores and audio go nowhere.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from speaker_id.errors import FAULTS, RequestError
from speaker_id.job import Outcome
from speaker_id.protocol import Model

logger = logging.getLogger(__name__)

# set by the gateway: seconds since the epoch when the request began, milliseconds until it was complete, and the number
# of its connection; no two requests have the same
RECEIVED_HEADER = "x-received"
_RECEIVED = re.compile(r"(\d{1,12}\.\d{1,9}) (\d{1,9})(?: \d{1,20})?", re.ASCII)
# metric, value, and the code of a counter that has one
Observation = tuple[str, float] | tuple[str, float, str]

CODES = ("ok", *(error.code for error in RequestError.__subclasses__()))
LONGEST_QUEUE = 24 * 3600.0  # s; more is not a waiting time but a wrong clock
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class Sink(Protocol):
    """Where a worker's metrics go: to each server in its own way."""

    def send(self, observations: Iterable[Observation]) -> None:
        """Count or observe each; what is not finite, or not declared, is dropped."""


class Telemetry:
    """One worker's metrics and events.

    Args:
        sink: where metrics go.
        model: its name and version are part of every event.
    """

    def __init__(self, sink: Sink, model: Model) -> None:
        self.sink = sink
        self.common = {"model": model.name, "version": model.version, "pid": os.getpid()}

    def started(self, **details: Any) -> None:
        """Report that the worker has loaded and warmed up its model."""
        none: list[Observation] = [("speaker_id_decoder_faults_total", 0, kind) for kind in FAULTS]
        none += [("speaker_id_requests_total", 0, code) for code in CODES]
        # a counter that first appears with its first event has no increase at that event
        self.sink.send([("speaker_id_worker_starts_total", 1), ("speaker_id_skipped_frames_total", 0), *none])
        self.event("ready", **details)

    def batch(self, outcomes: Sequence[Outcome], queued: Sequence[float | None], seconds: float) -> None:
        """Report an answered batch.

        Args:
            outcomes: one a request.
            queued: seconds that each request waited, as `waited` gives them.
            seconds: from the batch's arrival in the worker to its answers.
        """
        told: list[Observation] = [
            ("speaker_id_requests_total", count, code)
            for code, count in Counter(code_of(outcome) for outcome in outcomes).items()
        ]
        for outcome, wait in zip(outcomes, queued, strict=True):
            if wait is not None:
                told.append(("speaker_id_queue_seconds", wait))
            if outcome.audio_seconds:
                told.append(("speaker_id_decode_seconds", outcome.decode_seconds))
            if outcome.inference_seconds:
                told.append(("speaker_id_inference_seconds", outcome.inference_seconds))
            for certainty in outcome.certainties:
                told += [
                    ("speaker_id_answer_surprise_nats", certainty.surprise),
                    ("speaker_id_answer_margin", certainty.margin),
                    ("speaker_id_answer_entropy_nats", certainty.entropy),
                ]
        faults = Counter(
            outcome.error.fault.kind for outcome in outcomes if outcome.error and outcome.error.fault
        )
        told += [("speaker_id_decoder_faults_total", count, kind) for kind, count in faults.items()]
        if skipped := sum(outcome.skipped_frames for outcome in outcomes):
            told.append(("speaker_id_skipped_frames_total", skipped))
        told += [
            ("speaker_id_batch_seconds", seconds),
            ("speaker_id_batch_clips", sum(outcome.clips for outcome in outcomes)),
            ("speaker_id_batch_audio_seconds", sum(outcome.audio_seconds for outcome in outcomes)),
        ]
        self.sink.send(told)

    def event(self, event: str, *each: Mapping[str, Any], **fields: Any) -> None:
        """Log a line: a JSON object with time (UTC), level, event, model, version, pid and the fields.

        Args:
            each: more fields, of a line each; all lines are written by one call of the logger and of the system.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        common = {"time": now, "level": "info", "event": event, **self.common, **fields}
        lines = (json.dumps({**common, **more}, separators=(",", ":")) for more in each or ({},))
        logger.info("\n".join(lines))


class TorchServeSink:
    """Metrics on a worker's output, from which TorchServe's frontend reads them.

    Args:
        cache: TorchServe's `context.metrics`, with the metrics that its configuration declares
            (serving/torchserve/declaration.py). One that is not declared is not sent: TorchServe would log and drop it.
        model: its name and version are part of every metric.
    """

    def __init__(self, cache: Any, model: Model) -> None:
        self.labels = [model.name, model.version]
        self._host = socket.gethostname()
        declared = cache.cache.values() if cache else ()  # by kind
        self._metrics = {name: metric for kind in declared for name, metric in kind.items()}
        self._forms: dict[tuple[str, ...], tuple[str, str]] = {}

    def send(self, observations: Iterable[Observation]) -> None:
        """Write all at once, in the form that TorchServe's frontend reads from a worker's output.

        `metric.add_or_update` writes the same, but with a call of the logger and of the system for each.
        """
        now = int(time.time())
        lines = []
        for name, value, *code in observations:
            if name in self._metrics and math.isfinite(value):
                begin, end = self._form(name, *code)
                lines.append(f"{begin}{value:.6f}{end},{now}")
        if lines:
            logger.info("\n".join(lines))

    def _form(self, *named: str) -> tuple[str, str]:
        """What the lines of a metric, or of one code of it, have before and after the value."""
        if named not in self._forms:
            name, *code = named
            metric = self._metrics[name]
            values = zip(metric.dimension_names, [*self.labels, *code], strict=True)
            dimensions = ",".join(f"{label}:{each}" for label, each in values)
            end = f"|#{dimensions}|#type:{metric.metric_type.name}|#hostname:{self._host}"
            self._forms[named] = f"[METRICS]{name}.{metric.unit}:", end
        return self._forms[named]


def code_of(outcome: Outcome) -> str:
    return outcome.error.code if outcome.error else "ok"


def waited(headers: Mapping[str, str]) -> float | None:
    """Return the seconds since the gateway had received a request completely; None without a gateway.

    Args:
        headers: names in lower case, here and below.
    """
    when = received(headers)
    if when is None:
        return None
    seconds = time.time() - sum(when)
    return max(0.0, seconds) if seconds < LONGEST_QUEUE else None


def received(headers: Mapping[str, str]) -> tuple[float, float] | None:
    """Parse when a request began, in seconds since the epoch, and the seconds until it was complete."""
    given = _RECEIVED.fullmatch(headers.get(RECEIVED_HEADER, ""))
    return (float(given[1]), float(given[2]) / 1000) if given else None


def trace_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `{"trace": id}` from a W3C `traceparent`, else an empty dict."""
    given = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return {"trace": given[1]} if given else {}
