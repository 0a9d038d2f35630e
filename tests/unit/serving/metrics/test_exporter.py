"""The scrape address: whole although a part fails, and in time although one hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
import requests
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from bundle import BundleError
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.metrics import families
from serving.metrics.catalogue import CATALOGUE
from serving.metrics.exporter import Exporter

Values = dict[tuple[str, ...], float]


def good() -> Iterable[Metric]:
    family = families.gauge("speaker_id_queue_depth")
    family.add_metric(["demo", "1.0"], 7)
    return [family]


def broken() -> Iterable[Metric]:
    raise OSError("nobody is there")


@pytest.fixture
def start() -> Iterator[Callable[..., Exporter]]:
    started: list[Exporter] = []

    def start(parts: dict[str, Callable[[], Iterable[Metric]]], **options: float) -> Exporter:
        started.append(Exporter(parts, LOOPBACK, ports.free(1)[0], **options))
        started[-1].start()
        return started[-1]

    yield start
    for exporter in started:
        exporter.stop()


def scrape(exporter: Exporter) -> dict[str, Values]:
    text = requests.get(exporter.url, timeout=600).text
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    found: dict[str, Values] = {}
    for sample in samples:
        found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_a_part_that_fails_is_down_and_costs_the_others_nothing(start: Callable[..., Exporter]) -> None:
    found = scrape(start({"management": good, "gateway": broken}))
    assert found["speaker_id_up"] == {("management",): 1, ("gateway",): 0}
    assert found["speaker_id_queue_depth"] == {("demo", "1.0"): 7}


def test_a_part_that_hangs_is_down_in_time_and_is_not_asked_again_meanwhile(
    start: Callable[..., Exporter],
) -> None:
    release, asked = threading.Event(), []

    def hangs() -> Iterable[Metric]:
        asked.append(1)
        release.wait(600)
        return good()

    exporter = start({"management": hangs, "gateway": good}, deadline=0.2)
    began = time.monotonic()
    for _ in range(3):
        assert scrape(exporter)["speaker_id_up"] == {("management",): 0, ("gateway",): 1}
    assert time.monotonic() - began < 300  # of the 600 s for which it hangs
    assert len(asked) == 1
    release.set()


def test_a_part_is_up_again_once_it_answers(start: Callable[..., Exporter]) -> None:
    answers: list[Callable[[], Iterable[Metric]]] = [broken, good]
    exporter = start({"management": lambda: answers.pop(0)()})
    assert [scrape(exporter)["speaker_id_up"]["management",] for _ in range(2)] == [0, 1]


def test_a_port_that_is_taken_is_named_before_anything_starts(start: Callable[..., Exporter]) -> None:
    taken = start({"gateway": good}).port
    with pytest.raises(BundleError, match=f"port {taken} is taken .* METRICS_PORT="):
        Exporter({"gateway": good}, LOOPBACK, taken).check_port()


def test_no_metric_has_a_label_that_callers_fill_in() -> None:
    labels = {label for metric in CATALOGUE for label in metric.labels}
    # the operator names callers, in the file of tokens
    assert labels == {"model", "version", "code", "status", "class", "part", "kind", "caller", "outcome"}
    parts = {"workers", "torchserve", "management", "gateway", "access_log", "splitter", "exporter"}
    assert {metric.part for metric in CATALOGUE} == parts
