"""TorchServe's own scrape → the workers' metrics and its counters, under our names and labels alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bundle.metrics import families
from bundle.metrics.catalogue import CATALOGUE, TORCHSERVE
from bundle.metrics.served import Served

# its cumulative counters (never an autoscaler's signal by themselves) → ours, and what one of theirs is of ours
OWN = {
    "ts_inference_requests_total": ("speaker_id_torchserve_requests_total", 1.0),
    "ts_queue_latency_microseconds": ("speaker_id_torchserve_queue_seconds_total", 1e-6),
    "ts_inference_latency_microseconds": ("speaker_id_torchserve_inference_seconds_total", 1e-6),
}
OURS = {metric.name: metric for metric in CATALOGUE if metric.part == TORCHSERVE}


def collect(text: str, served: Served) -> Iterator[Metric]:
    """The families of a scrape of TorchServe; what the catalogue lacks, and versions that have gone, are left out.

    Raises:
        ValueError: the text is not in Prometheus' format.
    """
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = next((name for name in OURS if sample.name in (name, *_parts(name))), "")
            if sample.name in OWN:
                found.setdefault(sample.name, []).append(sample)
            elif name:
                found.setdefault(name, []).append(sample)
    for name, samples in found.items():
        ours, factor = OWN.get(name, (name, 1.0))
        metric = OURS[ours]
        build: Callable[[str], Metric] = (
            families.histogram if metric.kind == "histogram" else families.counter
        )
        built = build(ours)
        for sample in samples:
            labels = _labels(sample, metric.labels)
            if served.has(labels.get("model", ""), labels.get("version", "")):
                built.add_sample(ours + sample.name.removeprefix(name), labels, sample.value * factor)
        yield built


def _parts(name: str) -> tuple[str, ...]:
    return (
        tuple(f"{name}_{end}" for end in ("bucket", "sum", "count")) if OURS[name].kind == "histogram" else ()
    )


def _labels(sample: Sample, wanted: tuple[str, ...]) -> dict[str, str]:
    """Without TorchServe's host name, and by our names for model and version."""
    given = {label.removeprefix("model_"): value for label, value in sample.labels.items()}
    given["model"] = given.pop("name", given.get("model", ""))
    return {label: given[label] for label in (*wanted, "le") if label in given}
