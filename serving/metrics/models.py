"""The management API's descriptions → queues and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import Metric

from serving.metrics import families
from serving.metrics.served import Served

Describe = Callable[[str], list[dict[str, Any]]]
Usable = Callable[[str, str], int | None]


def collect(describe: Describe, served: Served, usable: Usable) -> Iterator[Metric]:
    """The gauges of every version of every model; updates the versions of `served`.

    Args:
        describe: model → TorchServe's description, one entry a version; may raise.
        usable: model and version → workers that can answer, as the gateway's watch found; None if it has not looked.
    """
    depth, capacity = families.gauge("speaker_id_queue_depth"), families.gauge("speaker_id_queue_capacity")
    ready, wanted = families.gauge("speaker_id_workers_ready"), families.gauge("speaker_id_workers_wanted")
    for model in served.models:
        versions = {entry["modelVersion"]: entry for entry in describe(model)}
        served.seen(model, list(versions))
        for version, entry in versions.items():
            if not served.has(model, version):
                continue
            queue, labels = entry["jobQueueStatus"], [model, version]
            depth.add_metric(labels, queue["pendingRequests"])
            capacity.add_metric(labels, queue["pendingRequests"] + queue["remainingCapacity"])
            ready.add_metric(labels, usable(model, version) or 0)
            wanted.add_metric(labels, entry["minWorkers"])
    yield from (depth, capacity, ready, wanted)
