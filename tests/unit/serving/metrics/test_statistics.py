"""What is answered at /v2/models/NAME/stats."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import BadStatusLine, IncompleteRead
from threading import Event
from typing import Any

import pytest
import requests
from prometheus_client import Metric

from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.metrics import families
from serving.metrics.exporter import Exporter
from serving.metrics.statistics import Statistics


def collected() -> Iterable[Metric]:
    """Two versions of a model, one of which has answered ten requests of twelve clips in four batches."""
    answered = families.counter("speaker_id_requests_total")
    for version, code, count in (("1.0", "ok", 10), ("1.0", "corrupt_audio", 2), ("2.0", "ok", 0)):
        answered.add_metric(["demo", version, code], count)
    yield answered
    for name, count, total in (
        ("speaker_id_queue_seconds", 12, 0.25),
        ("speaker_id_decode_seconds", 11, 0.125),
        ("speaker_id_inference_seconds", 10, 1.5),
        ("speaker_id_batch_seconds", 4, 2.0),
        ("speaker_id_answer_margin", 24, 7.0),
    ):
        histogram = families.histogram(name)
        histogram.add_metric(["demo", "1.0"], [("0.1", 1), ("+Inf", count)], total)
        yield histogram


def statistics(path: str, heads: int = 1) -> list[dict[str, Any]]:
    found = Statistics(collected, {"demo": heads}).answer(path)
    assert found is not None
    status, value = found
    assert (status, value.keys()) == ("200 OK", {"model_stats"})
    return list(value["model_stats"])


def test_every_number_is_one_that_the_workers_have_counted() -> None:
    (found,) = statistics("/v2/models/demo/versions/1.0/stats", heads=2)
    assert found == {
        "name": "demo",
        "version": "1.0",
        "inference_count": 12,
        "execution_count": 4,
        "inference_stats": {
            "success": {"count": 10},
            "fail": {"count": 2},
            "queue": {"count": 12, "ns": 250_000_000},
            "compute_input": {"count": 11, "ns": 125_000_000},
            "compute_infer": {"count": 10, "ns": 1_500_000_000},
        },
    }


@pytest.mark.parametrize("path", ["/v2/models/stats", "/v2/models/demo/stats"])
def test_without_a_version_all_are_listed(path: str) -> None:
    first, second = statistics(path)
    assert (first["version"], second["version"]) == ("1.0", "2.0")
    assert second["inference_stats"]["success"] == {"count": 0}


@pytest.mark.parametrize(
    ("path", "named"),
    [("/v2/models/no/stats", "no"), ("/v2/models/demo/versions/9/stats", "demo, version 9")],
)
def test_an_unknown_model_or_version_is_404_and_named(path: str, named: str) -> None:
    found = Statistics(collected, {}).answer(path)
    assert found is not None
    assert (found[0], found[1]["code"]) == ("404 Not Found", "model_not_found")
    assert found[1]["error"].endswith(f": {named}")


@pytest.mark.parametrize(
    "fault", [ConnectionRefusedError(), ValueError(), IncompleteRead(b""), BadStatusLine("")]
)
def test_a_server_that_does_not_answer_has_none(fault: Exception) -> None:
    def broken() -> Iterable[Metric]:
        raise fault

    found = Statistics(broken, {}).answer("/v2/models/stats")
    assert found == (
        "503 Service Unavailable",
        {"error": "the model server does not answer", "code": "unavailable"},
    )


def test_the_workers_are_asked_once_a_second_however_many_ask() -> None:
    now, asked = [0.0], []

    def counting() -> Iterable[Metric]:
        asked.append(now[0])
        return collected()

    found = Statistics(counting, {}, lambda: now[0])
    for now[0] in (0.0, 0.5, 0.9, 1.0, 1.5):
        found.answer("/v2/models/stats")
    assert asked == [0.0, 1.0]


def test_a_server_that_hangs_is_asked_once_for_all_who_wait() -> None:
    """Each would wait for it in turn, longer than the gateway waits for them: their threads would pile up."""
    asked, hanging = [], Event()

    def hang() -> Iterable[Metric]:
        asked.append(hanging.wait(600))
        raise TimeoutError

    found = Statistics(hang, {})
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(found.answer, "/v2/models/stats") for _ in range(8)]
        hanging.set()
    assert len(asked) == 1
    assert all(answer.result() for answer in answers)


def test_the_scrape_address_answers_it_beside_the_metrics() -> None:
    exporter = Exporter({"demo": collected}, LOOPBACK, ports.free(1)[0], statistics=Statistics(collected, {}))
    exporter.start()
    try:
        base = exporter.url.removesuffix("/metrics")
        answer = requests.get(f"{base}/v2/models/demo/stats", timeout=600)
        assert (answer.status_code, len(answer.json()["model_stats"])) == (200, 2)
        assert requests.head(f"{base}/v2/models/demo/stats", timeout=600).status_code == 200
        assert "speaker_id_requests_total" in requests.get(exporter.url, timeout=600).text
    finally:
        exporter.stop()
