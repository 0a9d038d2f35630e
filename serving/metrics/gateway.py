"""Envoy's own statistics → the gateway's metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from prometheus_client import Metric

from serving.metrics import families

CLASS = "http.public.downstream_rq_{}xx"
COUNTERS = {
    "speaker_id_gateway_retries_total": "cluster.model_server.upstream_rq_retry",
    "speaker_id_gateway_overflows_total": "cluster.model_server.upstream_rq_pending_overflow",
    "speaker_id_gateway_connect_failures_total": "cluster.model_server.upstream_cx_connect_fail",
}
GAUGES = {
    "speaker_id_gateway_active_requests": "http.public.downstream_rq_active",
    "speaker_id_gateway_connections": "http.public.downstream_cx_active",
    "speaker_id_gateway_memory_bytes": "server.memory_allocated",
}
# counters of shares.lua: by caller, and by what became of a request
CALLER = re.compile(r"http\.public\.lua\.share\.([\w-]+)\.(admitted|over_requests|over_audio|audio_ms)")
AUDIO = "audio_ms"
CLASSES = {f"{digit}xx": CLASS.format(digit) for digit in range(1, 6)}
_NAMES = "|".join([*COUNTERS.values(), *GAUGES.values(), CLASS.format("[1-5]")]).replace(".", "[.]")
_NAMES += "|http[.]public[.]lua[.]share[.].*"
PATH = f"/stats?format=json&filter={quote(f'^({_NAMES})$')}"


def collect(answer: str) -> Iterator[Metric]:
    """The families of an answer of Envoy's admin interface to `PATH`.

    Raises:
        ValueError, KeyError: it is not such an answer.
    """
    stats = {entry["name"]: entry["value"] for entry in json.loads(answer)["stats"] if "name" in entry}
    classes = families.counter("speaker_id_gateway_requests_total")
    for name, stat in CLASSES.items():
        classes.add_metric([name], stats[stat])
    yield classes
    for name, stat in COUNTERS.items():
        family = families.counter(name)
        family.add_metric([], stats[stat])
        yield family
    for name, stat in GAUGES.items():
        gauge = families.gauge(name)
        gauge.add_metric([], stats[stat])
        yield gauge
    yield from _callers(stats)


def _callers(stats: Mapping[str, int]) -> Iterator[Metric]:
    """What each caller was let send, and what not; nothing where nobody knows who calls."""
    requests = families.counter("speaker_id_caller_requests_total")
    seconds = families.counter("speaker_id_caller_audio_seconds_total")
    for stat, value in stats.items():
        if found := CALLER.fullmatch(stat):
            caller, outcome = found.groups()
            if outcome == AUDIO:
                seconds.add_metric([caller], value / 1000)
            else:
                requests.add_metric([caller, outcome], value)
    yield requests
    yield seconds
