"""Catalogue entries as prometheus_client's families."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from serving.metrics.catalogue import BY_NAME, Metric


def counter(name: str) -> CounterMetricFamily:
    metric = _of_kind(name, "counter")
    return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)


def gauge(name: str) -> GaugeMetricFamily:
    metric = _of_kind(name, "gauge")
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def histogram(name: str) -> HistogramMetricFamily:
    metric = _of_kind(name, "histogram")
    return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)


def _of_kind(name: str, kind: str) -> Metric:
    metric = BY_NAME[name]
    assert metric.kind == kind, f"{name} is a {metric.kind}"
    return metric
