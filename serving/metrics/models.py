"""The loaded versions → queues and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Metric

from serving.control import Version
from serving.metrics import families
from serving.metrics.served import Served

Versions = Callable[[str], Mapping[str, Version]]
Usable = Callable[[str, str], int | None]


def collect(loaded: Versions, served: Served, usable: Usable) -> Iterator[Metric]:
    """The gauges of every version of every model; updates the versions of `served`.

    Args:
        loaded: model → its versions by number; may raise.
        usable: model and version → workers that can answer, as the gateway's watch found; None if it has not looked.
    """
    depth, capacity = families.gauge("speaker_id_queue_depth"), families.gauge("speaker_id_queue_capacity")
    ready, wanted = families.gauge("speaker_id_workers_ready"), families.gauge("speaker_id_workers_wanted")
    for model in served.models:
        versions = loaded(model)
        served.seen(model, list(versions))
        for version, found in versions.items():
            if not served.has(model, version):
                continue
            labels = [model, version]
            depth.add_metric(labels, found.pending)
            capacity.add_metric(labels, found.capacity)
            ready.add_metric(labels, usable(model, version) or 0)
            wanted.add_metric(labels, found.wanted)
    yield from (depth, capacity, ready, wanted)
