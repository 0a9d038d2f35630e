"""TorchServe's own scrape → the workers' metrics and its counters, with our names and labels only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from serving.metrics import families
from serving.metrics.catalogue import CATALOGUE, TORCHSERVE, WORKERS, samples_of
from serving.metrics.served import Served
from serving.model_server import Spent

# its cumulative counters (an autoscaler needs their rate) → ours, and the factor between the units
OWN = {
    "ts_inference_requests_total": ("speaker_id_torchserve_requests_total", 1.0),
    "ts_queue_latency_microseconds": ("speaker_id_torchserve_queue_seconds_total", 1e-6),
    "ts_inference_latency_microseconds": ("speaker_id_torchserve_inference_seconds_total", 1e-6),
}
OURS = {metric.name: metric for metric in CATALOGUE if metric.part in (WORKERS, TORCHSERVE)}
# a sample's name → its metric's
NAMES = {sample: metric.name for metric in OURS.values() for sample in samples_of(metric)} | {
    f"{name.removesuffix('_total')}_total": name
    for name in OWN  # so the parser names a counter's samples
}


def collect(text: str, served: Served) -> Iterator[Metric]:
    """The families of a scrape of TorchServe; without what is not in the catalogue, or not served.

    Raises:
        ValueError: the text is not in Prometheus' format.
    """
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if (name := NAMES.get(sample.name)) is not None:
                found.setdefault(name, []).append(sample)
    for name, samples in found.items():
        if name in OWN:
            yield _of_torchserve(name, samples, served)
        else:
            yield _of_workers(name, samples, served)


def spent(text: str) -> Spent:
    """Its counters, summed over models; gRPC's requests are counted, but not timed.

    Raises:
        ValueError: the text is not in Prometheus' format.
    """
    totals: dict[str, float] = dict.fromkeys(OWN, 0.0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if (name := NAMES.get(sample.name, "")) in OWN:
                totals[name] += sample.value * OWN[name][1]
    return Spent(*totals.values())


def _of_workers(name: str, samples: list[Sample], served: Served) -> Metric:
    build = families.histogram if OURS[name].kind == "histogram" else families.counter
    family: Metric = build(name)
    for sample in samples:
        # without the host name that TorchServe adds
        labels = {key: value for key, value in sample.labels.items() if key in (*OURS[name].labels, "le")}
        if served.has(labels.get("model", ""), labels.get("version", "")):
            family.add_sample(sample.name, labels, sample.value)
    return family


def _of_torchserve(name: str, samples: list[Sample], served: Served) -> Metric:
    """Summed over versions: TorchServe writes "default" if the caller named none."""
    ours, factor = OWN[name]
    totals: Counter[str] = Counter()
    for sample in samples:
        totals[sample.labels.get("model_name", "")] += sample.value * factor  # type: ignore[assignment]
    family = families.counter(ours)
    for model in served.models:
        if model in totals:
            family.add_metric([model], totals[model])
    return family
