"""What the splitter has counted → its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import Metric

from serving.metrics import families

KINDS = {"clips": "clips", "recording": "recordings", "passed": "passed"}
COUNTERS = {"speaker_id_split_groups_total": "groups", "speaker_id_split_windows_total": "windows"}


def collect(counts: Mapping[str, int], starts: int) -> Iterator[Metric]:
    """The families of a splitter's counts.

    Args:
        counts: since its start, by the names of serving/recordings/counts.py.
        starts: of its process.
    """
    requests = families.counter("speaker_id_split_requests_total")
    for kind, name in KINDS.items():
        requests.add_metric([kind], counts[name])
    yield requests
    for metric, name in COUNTERS.items():
        counter = families.counter(metric)
        counter.add_metric([], counts[name])
        yield counter
    in_flight = families.gauge("speaker_id_split_groups_in_flight")
    in_flight.add_metric([], counts["in_flight"])
    yield in_flight
    started = families.counter("speaker_id_splitter_starts_total")
    started.add_metric([], starts)
    yield started
