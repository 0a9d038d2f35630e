"""What Triton prints and counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from serving.metrics.catalogue import CATALOGUE, WORKERS
from serving.metrics.served import Served
from serving.triton import failures, launch, scrape

LOG = """\
E1126 07:21:06.722028 12101 server.cc:241] "CudaDriverHelper has not been initialized."
I1126 07:21:06.722340 12101 server.cc:604] "fine"
E1126 07:21:09.1 12101 x.cc:642] "failed to load 'demo' version 1: Internal: CheckpointError: the weights differ

At:
  /tmp/model.py(70): initialize
"
error: creating server: Internal - failed to load all models
"""
METRICS = """\
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="demo",version="1"} 5
nv_inference_request_success{model="demo.http",version="1"} 4
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="demo",reason="OTHER",version="1"} 2
# TYPE nv_inference_queue_duration_us counter
nv_inference_queue_duration_us{model="demo",version="1"} 3000000
# TYPE nv_inference_compute_infer_duration_us counter
nv_inference_compute_infer_duration_us{model="demo",version="1"} 500000
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="demo",version="1"} 7
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    file = tmp_path / "triton.log"
    file.write_text(LOG)
    return file


def test_the_reason_of_a_model_that_does_not_load_is_one_line(output: Path) -> None:
    assert failures.refusal(output) == "demo: CheckpointError: the weights differ"
    assert failures.refusal(output, failures.position(output)) is None


def test_the_last_words_are_the_last_error(output: Path) -> None:
    assert failures.last_words(output) == "creating server: Internal - failed to load all models"
    output.write_text(LOG.splitlines()[0])
    assert failures.last_words(output) is None, "said on every machine without a GPU"


def test_a_request_is_counted_once_though_it_came_through_an_entrance() -> None:
    assert scrape.spent(METRICS) == scrape.Spent(requests=7, queue=3.0, worker=0.5)
    assert scrape.pending(METRICS) == {("demo", "1"): 7}


def test_tritons_own_metrics_keep_its_names_and_leave_the_entrances_out() -> None:
    registry = CollectorRegistry()

    class Own(Collector):
        def collect(self) -> Iterator[Metric]:
            return scrape.own(METRICS, Served({"demo": ["1.0"]}))

    registry.register(Own())
    lines = generate_latest(registry).decode().splitlines()
    assert 'nv_inference_request_success{model="demo",version="1"} 5.0' in lines
    assert 'nv_inference_pending_request_count{model="demo",version="1"} 7.0' in lines
    assert not [line for line in lines if "demo.http" in line]
    assert not list(scrape.own(METRICS, Served({"other": ["1.0"]})))


def test_what_workers_count_is_added_up_under_our_names(tmp_path: Path) -> None:
    import subprocess
    import sys

    launch.declare(tmp_path)
    folder = tmp_path / launch.METRICS
    program = (
        "import triton_metrics, speaker_id.protocol as p, pathlib, sys;"
        "sink = triton_metrics.PrometheusSink(pathlib.Path(sys.argv[1]), p.Model('demo', '1.0'));"
        "sink.send([('speaker_id_requests_total', 2, 'ok'), ('speaker_id_queue_seconds', 0.3), ('nothing', 1),"
        "('speaker_id_queue_seconds', float('nan'))])"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
    found = {metric.name: metric for metric in scrape.workers(folder, Served({"demo": ["1.0"]}))}
    (requests,) = found["speaker_id_requests"].samples
    assert (requests.labels, requests.value) == ({"model": "demo", "version": "1.0", "code": "ok"}, 4)
    queue = {
        sample.labels.get("le", sample.name): sample.value
        for sample in found["speaker_id_queue_seconds"].samples
    }
    assert (queue["0.25"], queue["0.5"], queue["+Inf"]) == (0, 2, 2)
    assert not next(iter(scrape.workers(folder, Served({"other": ["1.0"]})))).samples


def test_the_declaration_is_the_catalogues(tmp_path: Path) -> None:
    launch.declare(tmp_path)
    declared = json.loads((tmp_path / launch.METRICS / "declaration.json").read_text())
    assert {entry["name"] for entry in declared} == {
        metric.name for metric in CATALOGUE if metric.part == WORKERS
    }
    assert not [entry for entry in declared if "torchserve" in entry["name"]]
