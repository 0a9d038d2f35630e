"""A worker's metrics under Triton: prometheus_client's files, which the server's exporter adds up over all workers.

Triton's own custom metrics would cost a message to its process for each observation, a hundred and more a batch. A file
that is mapped into memory costs a microsecond each, and keeps what a worker counted when it has ended.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the server reads the names below, and needs nothing of the core
    from speaker_id.protocol import Model
    from speaker_telemetry import Observation

# the folder of the files, and of their declaration; without it there are none
FOLDER_VARIABLE = "SPEAKER_ID_METRICS"
# [{"name", "kind": "counter" or "histogram", "labels", "help", "buckets"}, …]
DECLARATION = "declaration.json"


class PrometheusSink:
    """Counters and histograms of one process.

    Args:
        folder: where the declaration is, and the files go.
        model: its name and version are part of every metric.
    """

    def __init__(self, folder: Path, model: Model) -> None:
        # read once, by the first import
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        from prometheus_client import Counter, Histogram

        self.labels = (model.name, model.version)
        self._metrics: dict[str, Any] = {}
        for each in json.loads((folder / DECLARATION).read_text("utf-8")):
            if each["kind"] == "counter":
                made: Any = Counter(each["name"], each["help"], each["labels"], registry=None)
            else:
                made = Histogram(
                    each["name"], each["help"], each["labels"], registry=None, buckets=each["buckets"]
                )
            self._metrics[each["name"]] = made

    @staticmethod
    def from_environment(
        model: Model, environment: Mapping[str, str] = os.environ
    ) -> PrometheusSink | Nowhere:
        """Return the sink that the server's environment names."""
        folder = environment.get(FOLDER_VARIABLE)
        return PrometheusSink(Path(folder), model) if folder else Nowhere()

    def send(self, observations: Iterable[Observation]) -> None:
        for name, value, *more in observations:
            metric = self._metrics.get(name)
            if metric is None or not math.isfinite(value):
                continue
            child = metric.labels(*self.labels, *more)
            if hasattr(child, "observe"):
                child.observe(value)
            else:
                child.inc(value)


class Nowhere:
    """No metrics: nobody reads them."""

    def send(self, observations: Iterable[Observation]) -> None:
        pass
