"""TorchServe's metrics.yaml, made from the catalogue: TorchServe drops a metric that is not declared there."""

from __future__ import annotations

from typing import Any

import yaml

from serving.metrics.catalogue import CATALOGUE, WORKERS
from serving.torchserve.scrape import OWN

FILE = "metrics.yaml"
# of TorchServe's own metrics, fixed in its frontend
OWN_LABELS = ["model_name", "model_version", "hostname"]
UNITS = {"seconds": "Seconds", "microseconds": "Microseconds"}  # by the last word of a name; else a count


def text() -> str:
    """The file: TorchServe's counters that the exporter reads, and every metric that a worker observes."""
    workers: dict[str, list[dict[str, Any]]] = {}
    for metric in CATALOGUE:
        if metric.part == WORKERS:
            workers.setdefault(metric.kind, []).append(_entry(metric.name, list(metric.labels)))
    own = {"counter": [_entry(name, list(OWN_LABELS)) for name in OWN]}
    # TorchServe also expects a list of all labels
    labels = sorted(
        {label for entries in workers.values() for each in entries for label in each["dimensions"]}
    )
    content = {"dimensions": labels, "ts_metrics": own, "model_metrics": workers}
    return yaml.safe_dump(content, sort_keys=False)


def _entry(name: str, labels: list[str]) -> dict[str, Any]:
    return {"name": name, "unit": UNITS.get(name.rpartition("_")[2], "Count"), "dimensions": labels}
