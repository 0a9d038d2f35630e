"""The gateway's access log → answers by status, and how long they took, as callers saw them.

Envoy counts classes of statuses, and those that TorchServe sent rather than those that errors.lua makes of them; its
logger of statistics, which could count more, is not meant for callers that are not trusted.
"""

from __future__ import annotations

import json
import re
import stat
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import Metric

from serving.gateway import static
from serving.host import logs
from serving.metrics import families
from serving.metrics.catalogue import REQUEST_BUCKETS
from serving.metrics.served import Served

MOST_BYTES = 32 << 20  # read at one scrape: the log is rotated well before
LONGEST_LINE = 64 << 10
# Exported for every model from the start: rate() and increase() do not count a series' first value, so the first burst
# of failures after a start would be missed. They are the statuses that alerts watch, and 200, which is in their ratio.
FROM_THE_START = ("200", "429", "500", "503", "504", "507")
UNKNOWN = "unknown"  # in place of any model that is not served
INFERENCE_OVER_GRPC = ("/org.pytorch.serve.grpc.", "/inference.GRPCInferenceService/")
GRPC = "grpc"  # in place of the model, which is named in gRPC's message
GRPC_HEALTH = "/grpc.health.v1.Health/Check"
_HEALTH = re.compile(
    rf"{re.escape(static.PAGE)}|{re.escape(static.ABOUT)}|{static.SAMPLES}/.*"
    r"|/ping|/openapi\.json|/docs|/(v1)?|/v2(/health/.*)?|/v[12]/models|/v1/models/[^/:]+"
    r"|/v2/models/[^/]+(/versions/[^/]+)?(/ready|/config|/stats)?"
)
_MODEL = re.compile(r"/(?:predictions|v1/models|v2/models)/([^/:]+)")


class AccessLog:
    """Counts from one log file, across its rotations.

    Args:
        path: what Envoy writes; its present content is from a former server and is skipped.
        served: the models that become labels.
    """

    def __init__(self, path: Path, served: Served) -> None:
        self.path = path
        self.served = served
        self._lock = threading.Lock()
        self._inode, self._offset = 0, 0  # which file has been read, and how far
        self._rest = b""
        self._statuses: Counter[tuple[str, str]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        if path.is_file():
            self._inode, self._offset = path.stat().st_ino, path.stat().st_size

    def collect(self) -> Iterator[Metric]:
        """Everything counted since the start.

        Raises:
            OSError: the log cannot be read.
        """
        with self._lock:
            self._read()
            answers, times = (
                families.counter("speaker_id_responses_total"),
                families.histogram("speaker_id_request_seconds"),
            )
            zeros = {(model, status): 0 for model in self.served.models for status in FROM_THE_START}
            for (model, status), count in sorted((zeros | self._statuses).items()):
                answers.add_metric([model, status], count)
            bounds = [*(str(bound) for bound in REQUEST_BUCKETS), "+Inf"]
            for model in sorted(self._buckets.keys() | self.served.models):
                counts = self._buckets.get(model, [0] * len(bounds))
                cumulative = list(zip(bounds, accumulate(counts), strict=True))
                times.add_metric([model], cumulative, self._seconds.get(model, 0.0))
        yield from (answers, times)

    def _read(self) -> None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return  # not written yet, or being rotated
        if not stat.S_ISREG(status.st_mode):  # a device has no end
            raise OSError(f"{self.path} is not a regular file")
        if status.st_ino != self._inode:
            former = logs.rotated(self.path)
            if former.is_file() and former.stat().st_ino == self._inode:
                self._take(former)
            self._inode, self._offset, self._rest = status.st_ino, 0, b""
        self._take(self.path)

    def _take(self, path: Path) -> None:
        with path.open("rb") as log:
            log.seek(self._offset)
            read = log.read(MOST_BYTES)
        self._offset += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        for line in lines:
            try:
                entry = json.loads(line)
                path_asked, status = str(entry["path"]), int(entry["status"] or 0)
                took = (float(entry["ms"]) - float(entry["upload_ms"] or 0)) / 1000
            except (ValueError, KeyError, TypeError):
                continue  # truncated by a full disk
            self._count(entry, path_asked, status, max(0.0, took))

    def _count(self, entry: dict[str, Any], path: str, status: int, seconds: float) -> None:
        if entry.get("over"):
            return  # a caller that sends more than its share says nothing of how the server does
        if path == GRPC_HEALTH or (entry.get("method") in ("GET", "HEAD") and _HEALTH.fullmatch(path)):
            return
        model = self._model(path)
        self._statuses[model, str(status)] += 1
        if 200 <= status < 300 and model != UNKNOWN:
            counts = self._buckets.setdefault(model, [0] * (len(REQUEST_BUCKETS) + 1))
            counts[bisect_left(REQUEST_BUCKETS, seconds)] += 1
            self._seconds[model] = self._seconds.get(model, 0.0) + seconds

    def _model(self, path: str) -> str:
        if path.startswith(INFERENCE_OVER_GRPC):
            return GRPC
        named = _MODEL.match(path)
        return named[1] if named and named[1] in self.served.models else UNKNOWN
