"""TorchServe's scrape, as 0.12 writes it, under our names and with the labels of models that are served."""

from __future__ import annotations

from serving.metrics.served import MOST_VERSIONS, Served
from serving.torchserve.scrape import collect, spent

TEXT = """\
# HELP speaker_id_requests_total Torchserve prometheus counter metric with unit: Count
# TYPE speaker_id_requests_total counter
speaker_id_requests_total{model="demo",version="1.0",code="ok",Hostname="vm",} 16.0
speaker_id_requests_total{model="demo",version="0.9",code="ok",Hostname="vm",} 3.0
speaker_id_requests_total{model="else",version="1.0",code="ok",Hostname="vm",} 5.0
# HELP ts_queue_latency_microseconds Torchserve prometheus counter metric with unit: Microseconds
# TYPE ts_queue_latency_microseconds counter
ts_queue_latency_microseconds{model_name="demo",model_version="default",hostname="vm",} 2000000.0
ts_queue_latency_microseconds{model_name="demo",model_version="1.0",hostname="vm",} 500000.0
# HELP speaker_id_queue_seconds Torchserve prometheus histogram metric with unit: Seconds
# TYPE speaker_id_queue_seconds histogram
speaker_id_queue_seconds_bucket{model="demo",version="1.0",Hostname="vm",le="0.005",} 1.0
speaker_id_queue_seconds_bucket{model="demo",version="1.0",Hostname="vm",le="+Inf",} 2.0
speaker_id_queue_seconds_count{model="demo",version="1.0",Hostname="vm",} 2.0
speaker_id_queue_seconds_sum{model="demo",version="1.0",Hostname="vm",} 0.25
# HELP PredictionTime Torchserve prometheus gauge metric with unit: ms
# TYPE PredictionTime gauge
PredictionTime{ModelName="demo",Level="Model",Hostname="vm",} 12.0
"""


def scraped(served: Served) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in collect(TEXT, served):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_the_hosts_name_other_models_and_versions_that_have_gone_are_left_out() -> None:
    assert scraped(Served({"demo": ["1.0"]}))["speaker_id_requests_total"] == {("demo", "1.0", "ok"): 16.0}


def test_torchserves_microseconds_are_seconds_summed_over_its_versions() -> None:
    found = scraped(Served({"demo": ["1.0"]}))
    assert found["speaker_id_torchserve_queue_seconds_total"] == {("demo",): 2.5}


def test_its_own_counts_are_summed_over_models_and_versions() -> None:
    found = spent(
        TEXT + 'ts_inference_requests_total{model_name="a",model_version="1.0",hostname="vm",} 3.0\n'
    )
    assert (found.requests, found.queue, found.worker) == (3.0, 2.5, 0.0)


def test_a_histogram_keeps_its_buckets() -> None:
    found = scraped(Served({"demo": ["1.0"]}))
    assert found["speaker_id_queue_seconds_bucket"] == {
        ("demo", "1.0", "0.005"): 1.0,
        ("demo", "1.0", "+Inf"): 2.0,
    }
    assert found["speaker_id_queue_seconds_sum"] == {("demo", "1.0"): 0.25}


def test_nothing_but_the_catalogues_metrics_comes_through() -> None:
    assert not [name for name in scraped(Served({"demo": ["1.0"]})) if not name.startswith("speaker_id_")]


def test_versions_are_bounded_to_the_latest() -> None:
    served = Served({"demo": ["1.0"]})
    served.seen("demo", [f"{number}.0" for number in range(100)])
    kept = [number for number in range(100) if served.has("demo", f"{number}.0")]
    assert kept == list(range(100 - MOST_VERSIONS, 100))
