"""Metrics, logs and traces of a real server: everything that the catalogue promises, and no identity in any of it."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from bundle import sources
from serving.gateway import shares
from serving.gateway.options import GatewayOptions
from serving.gateway.tracing import Collector as Spans
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.metrics.catalogue import CATALOGUE, samples_of
from serving.service import Service

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
CLIPS = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))[:6]
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Collector(BaseHTTPRequestHandler):
    """What an OpenTelemetry collector does first: take spans at /v1/traces."""

    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = b""
        while size := int(self.rfile.readline(), 16):  # Envoy sends it in chunks
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Watched:
    """A server that has answered some requests, and all that it let out."""

    service: Service
    scrape: str
    labels: set[str]
    scores: set[str]
    spans: list[tuple[str, bytes]]

    def lines(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.service.server.logs / name).read_text().splitlines()]

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(self.scrape)
        samples = [each for family in families for each in family.samples if each.name == name]
        return {tuple(each.labels.values()): each.value for each in samples}


@pytest.fixture(scope="module")
def collector() -> Iterator[HTTPServer]:
    Collector.received = []
    with HTTPServer((LOOPBACK, 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def watched(
    demo_store: Path, collector: HTTPServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    spec = sources.resolve("demo", root=ROOT / "models")
    run = tmp_path_factory.mktemp("run")
    spans = Spans(LOOPBACK, collector.server_port)
    share = shares.read("requests=1000 audio=10000")  # so that callers are counted
    options = GatewayOptions(ports.free(1)[0], collector=spans, share=share)
    service = Service([spec], demo_store, run, options)
    try:
        service.start()
        labels, scores = set(), set()
        for clip in CLIPS:
            for entry in post(service, "demo", clip.read_bytes()).json():
                labels.add(entry["label"])
                scores.add(str(entry["score"]))
        post(service, "demo", b"?")
        for number in range(20):
            post(service, f"made-up-{number}", b"?")
        requests.get(f"{service.gateway.url}/v2/health/ready", timeout=600)
        scrape = wait_for(service)
        yield Watched(service, scrape, labels, scores, Collector.received)
    finally:
        service.stop(0, hurry=lambda: True)


def post(service: Service, model: str, body: bytes) -> requests.Response:
    headers = {"content-type": "application/octet-stream", "traceparent": TRACEPARENT}
    url = f"{service.gateway.url}/predictions/{model}?top_k=000000005"
    return requests.post(url, body, headers=headers, timeout=600)


def wait_for(service: Service) -> str:
    """A scrape in which the last answer has been counted: Envoy writes its log once a second."""
    deadline = time.monotonic() + 600
    while True:
        text = requests.get(service.exporter.url, timeout=600).text
        if 'responses_total{model="unknown",status="404"} 20.0' in text and Collector.received:
            return text
        assert time.monotonic() < deadline, text
        time.sleep(0.1)  # between two looks


def test_every_metric_of_the_catalogue_is_served_with_its_kind_and_labels(watched: Watched) -> None:
    families = list(text_string_to_metric_families(watched.scrape))
    kinds = {family.name: family.type for family in families}
    labels = {each.name: set(each.labels) - {"le"} for family in families for each in family.samples}
    for metric in CATALOGUE:
        name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        assert kinds[name] == metric.kind, metric.name
        for sample in samples_of(metric):
            assert labels[sample] == set(metric.labels), sample
    promised = {sample for metric in CATALOGUE for sample in samples_of(metric)}
    assert labels.keys() == promised, "what is served and stands in no catalogue"


def test_the_gateway_answers_with_tritons_statistics_and_configuration(watched: Watched) -> None:
    model = f"{watched.service.gateway.url}/v2/models/demo"
    answer = requests.get(f"{model}/stats", timeout=600)
    (found,) = answer.json()["model_stats"]
    assert (found["name"], found["version"], found["inference_count"]) == ("demo", "2.0", len(CLIPS))
    assert found["inference_stats"]["success"]["count"] == len(CLIPS)
    assert found["inference_stats"]["fail"]["count"] == 1
    assert found["inference_stats"]["compute_infer"]["ns"] > 0
    assert "WSGI" not in answer.headers.get("server", "")
    assert requests.get(f"{model}/config", timeout=600).json()["max_batch_size"] == 64


def test_the_pages_curl_gets_them(watched: Watched) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    (command,) = re.findall(r"^curl (http://127\.0\.0\.1:9464/metrics)$", page, re.MULTILINE)
    url = command.replace("http://127.0.0.1:9464", watched.service.exporter.url.removesuffix("/metrics"))
    said = subprocess.run(["curl", "-sS", "--fail", url], capture_output=True, text=True, check=True).stdout
    assert "speaker_id_requests_total{" in said


def test_every_part_answers(watched: Watched) -> None:
    assert set(watched.values("speaker_id_up").values()) == {1.0}


def test_requests_are_counted_by_outcome(watched: Watched) -> None:
    outcomes = watched.values("speaker_id_requests_total")
    assert {key: value for key, value in outcomes.items() if value} == {
        ("ok", "demo", "2.0"): 6,
        ("unsupported_media", "demo", "2.0"): 1,
    }
    answers = watched.values("speaker_id_responses_total")
    assert answers["demo", "429"] == 0  # there before it happens, or the first burst would be no increase
    assert {key: value for key, value in answers.items() if value} == {
        ("demo", "200"): 6,
        ("demo", "415"): 1,
        ("unknown", "404"): 20,
    }


def test_each_requests_time_is_observed_in_every_stage(watched: Watched) -> None:
    for stage, expected in {"queue": 7, "decode": 6, "inference": 6, "answer_surprise": 6}.items():
        unit = "nats" if stage.startswith("answer") else "seconds"
        assert watched.values(f"speaker_id_{stage}_{unit}_count") == {("demo", "2.0"): expected}, stage
    assert watched.values("speaker_id_request_seconds_count") == {("demo",): 6}
    assert (
        watched.values("speaker_id_torchserve_requests_total")["demo",] >= 7
    )  # and the watch's own questions
    queued = watched.values("speaker_id_queue_seconds_sum")["demo", "2.0"]
    assert 0 < queued < watched.values("speaker_id_request_seconds_sum")["demo",] + 1


def test_the_queue_and_the_workers_are_seen(watched: Watched) -> None:
    seen = {name: watched.values(f"speaker_id_{name}") for name in ("queue_capacity", "workers_ready")}
    assert seen == {"queue_capacity": {("demo", "2.0"): 100}, "workers_ready": {("demo", "2.0"): 1}}
    assert watched.values("speaker_id_worker_starts_total") == {("demo", "2.0"): 1}


def test_no_metric_names_anybody_or_any_request(watched: Watched) -> None:
    text = watched.scrape + requests.get(f"{watched.service.server.metrics_url}/metrics", timeout=600).text
    named = watched.labels - {"unknown"}  # nobody, and a word of other metrics
    assert named
    assert not [label for label in named if label in text]
    assert "made-up" not in text
    assert TRACE not in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text), "a request's id"


def test_every_log_is_one_json_object_a_line(watched: Watched) -> None:
    for name in ("access_log.log", "handler_log.log", "model_log.log", "ts_log.log"):
        lines = watched.lines(name)
        assert lines, name
        assert all({"time", "level"} <= line.keys() for line in lines), name
    access = watched.service.gateway.access_log.read_text().splitlines()
    assert len([json.loads(line) for line in access]) >= 28


def test_the_handlers_log_has_a_line_a_request_and_three_for_the_start(watched: Watched) -> None:
    events = [line["event"] for line in watched.lines("handler_log.log")]
    assert events == ["loading", "warming", "ready"] + ["request"] * 7


def test_no_log_holds_a_label_a_score_or_how_sure_an_answer_is(watched: Watched) -> None:
    run = watched.service.run
    logs = "".join(path.read_text("utf-8", "replace") for path in run.rglob("*log*") if path.is_file())
    assert "handler_log" not in logs
    assert not [word for word in watched.labels | watched.scores if word in logs]
    assert "surprise" not in logs
    assert "[METRICS]" not in logs
    assert "top_k=000000005" not in "".join(
        path.read_text() for path in (watched.service.gateway.access_log, run / "logs" / "handler_log.log")
    )


def test_a_trace_goes_from_the_caller_through_the_gateway_into_the_handlers_log(watched: Watched) -> None:
    traces = {line.get("trace") for line in watched.lines("handler_log.log") if line["event"] == "request"}
    assert traces == {TRACE}
    access = [json.loads(line) for line in watched.service.gateway.access_log.read_text().splitlines()]
    assert {line["traceparent"][3:35] for line in access if line["path"] == "/predictions/demo"} == {TRACE}


def test_a_collector_gets_spans_of_the_callers_trace(watched: Watched) -> None:
    assert {path for path, _ in watched.spans} == {"/v1/traces"}
    assert any(bytes.fromhex(TRACE) in body and b"speaker-id" in body for _, body in watched.spans)
