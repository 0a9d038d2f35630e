"""Envoy's statistics and the management API's descriptions, as they answer."""

from __future__ import annotations

import json

import pytest

from serving.control import Version
from serving.metrics import gateway, models
from serving.metrics.served import Served

STATS = {
    **{stat: digit for digit, stat in enumerate(gateway.CLASSES.values(), 1)},
    "cluster.model_server.upstream_rq_retry": 6,
    "cluster.model_server.upstream_rq_pending_overflow": 7,
    "cluster.model_server.upstream_cx_connect_fail": 8,
    "http.public.downstream_rq_active": 9,
    "http.public.downstream_cx_active": 10,
    "server.memory_allocated": 11,
}


def test_envoys_names_become_ours() -> None:
    answer = json.dumps({"stats": [{"name": name, "value": value} for name, value in STATS.items()]})
    families = {family.name: family for family in gateway.collect(answer)}
    classes = families["speaker_id_gateway_requests"].samples
    assert [(each.labels["class"], each.value) for each in classes][3] == ("4xx", 4)
    rest = [
        each.value for name, family in families.items() for each in family.samples if "requests" not in name
    ]
    assert sorted(rest) == [6, 7, 8, 10, 11]
    assert families["speaker_id_gateway_active_requests"].samples[0].value == 9


def test_an_envoy_that_lacks_a_statistic_is_down_rather_than_silent() -> None:
    with pytest.raises(KeyError):
        list(gateway.collect(json.dumps({"stats": []})))


def version(number: str, pending: int, ready: int) -> Version:
    return Version(
        number,
        tuple(range(ready)),
        2,
        wanted=2,
        pending=pending,
        capacity=100,
        response_timeout=30,
        batch_delay=0.0,
    )


def test_queue_and_workers_of_every_version() -> None:
    served = Served({"demo": ["1.0"]})
    loaded = {"1.0": version("1.0", pending=7, ready=1), "2.0": version("2.0", pending=0, ready=2)}
    usable = {("demo", "1.0"): 1, ("demo", "2.0"): None}  # the watch has not looked at the second yet
    found = models.collect(lambda _: loaded, served, lambda *version: usable[version])
    families = {family.name: family.samples for family in found}
    shown = {name: [each.value for each in samples] for name, samples in families.items()}
    assert shown == {
        "speaker_id_queue_depth": [7, 0],
        "speaker_id_queue_capacity": [100, 100],
        "speaker_id_workers_ready": [1, 0],
        "speaker_id_workers_wanted": [2, 2],
    }
    assert served.has("demo", "2.0")
