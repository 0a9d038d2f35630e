"""What Triton's workers write into files → our metrics, with our names and labels only; and Triton's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bundle.repository import HTTP
from serving.metrics import families
from serving.metrics.catalogue import CATALOGUE, WORKERS
from serving.metrics.served import Served
from serving.model_server import Spent

PENDING = "nv_inference_pending_request_count"
SPENT = (
    ("nv_inference_request_success_total", "nv_inference_request_failure_total"),
    ("nv_inference_queue_duration_us_total",),
    ("nv_inference_compute_infer_duration_us_total",),
)
OURS = {metric.name.removesuffix("_total"): metric for metric in CATALOGUE if metric.part == WORKERS}


def workers(folder: Path, served: Served) -> Iterator[Metric]:
    """What all workers have counted, those that have ended included."""
    collector: Collector = MultiProcessCollector(CollectorRegistry(), path=str(folder))  # type: ignore[no-untyped-call]
    for found in collector.collect():
        ours = OURS.get(found.name)
        if ours is None:
            continue
        build = families.histogram if ours.kind == "histogram" else families.counter
        family: Metric = build(ours.name)
        for sample in found.samples:
            if served.has(sample.labels.get("model", ""), sample.labels.get("version", "")):
                family.add_sample(sample.name, dict(sample.labels), sample.value)
        yield family


def own(text: str, served: Served) -> Iterator[Metric]:
    """Triton's own metrics of the models that are served, as it names them and by its number of a version.

    Those of the gateway's entrances are left out. Counters become untyped: prometheus_client would add `_total` to the
    names that Triton gives them.
    """
    for family in text_string_to_metric_families(text):
        kept = [sample for sample in family.samples if sample.labels.get("model") in served.models]
        if not kept:
            continue
        counts = family.type == "counter"
        metric = Metric(family.name, family.documentation, "unknown" if counts else family.type)
        metric.samples = [
            sample._replace(name=sample.name.removesuffix("_total")) if counts else sample for sample in kept
        ]
        yield metric


def pending(text: str) -> Mapping[tuple[str, str], int]:
    """Requests that wait in the queue of each model and Triton's number of its version."""
    return {
        (sample.labels["model"], sample.labels["version"]): int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == PENDING
    }


def spent(text: str) -> Spent:
    """Triton's counters, summed over models: not of the gateway's entrances, which pass requests on."""
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if HTTP not in sample.labels.get("model", ""):
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    requests, queue, worker = (sum(totals.get(name, 0.0) for name in names) for names in SPENT)
    return Spent(requests, queue / 1e6, worker / 1e6)
