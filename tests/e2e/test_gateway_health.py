"""Health, readiness and metadata at the gateway say what is so, in front of a real TorchServe."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from speaker_id.settings import Settings

from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.gateway.scripts import lua_heads
from serving.host import ports
from serving.recordings.configuration import Served
from serving.torchserve.process import TorchServe
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def harmed(stub_archive: Callable[..., None], tmp_path: Path) -> Iterator[TorchServe]:
    """A server of its own with two workers, which a test may harm."""
    (tmp_path / "store").mkdir()
    stub_archive(tmp_path / "store", "stub", minWorkers=2, maxWorkers=2)
    with TorchServe(tmp_path / "store", ["stub"], tmp_path / "run") as server:
        server.start()
        server.wait_ready()
        yield server
        server.stop(0)


@pytest.fixture
def before() -> Iterator[Callable[..., Gateway]]:
    """Start a gateway before a TorchServe; it is stopped when the test ends."""
    started: list[Gateway] = []

    def start(server: TorchServe, **options: Any) -> Gateway:
        gateway = Gateway(server, GatewayOptions(ports.free(1)[0]), response_timeout=30, **options)
        started.append(gateway)
        gateway.start()
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


def get(gateway: Gateway, path: str) -> tuple[int, Any]:
    response = requests.get(gateway.url + path, timeout=600)
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()


def test_a_healthy_server_says_so(stub_gateway: Gateway) -> None:
    assert get(stub_gateway, "/v2/health/live") == (200, {"live": True})
    assert get(stub_gateway, "/v2/health/ready") == (200, {"ready": True})
    assert get(stub_gateway, "/v2/models/stub/ready") == (200, {"name": "stub", "ready": True})
    assert get(stub_gateway, "/v2/models/stub/versions/1.0/ready") == (200, {"name": "stub", "ready": True})
    assert get(stub_gateway, "/v1/models/stub") == (200, {"name": "stub", "ready": True})
    assert get(stub_gateway, "/v2")[0] == 200


def test_kserves_liveness_and_lists(stub_gateway: Gateway) -> None:
    assert get(stub_gateway, "/") == (200, {"status": "alive"})
    assert get(stub_gateway, "/v1") == (200, {"status": "alive"})
    for path in ("/v1/models", "/v2/models"):
        status, body = get(stub_gateway, path)
        assert (status, body.keys(), set(body["models"])) == (200, {"models"}, {"narrow", "stub"})


def test_metadata_names_versions_inputs_and_outputs(stub_gateway: Gateway) -> None:
    status, body = get(stub_gateway, "/v2/models/stub")
    assert (status, body["name"], body["versions"]) == (200, "stub", ["1.0"])
    assert [tensor["name"] for tensor in body["inputs"] + body["outputs"]] == [
        *("audio", "label", "score", "embedding")
    ]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v2/models/nobody", "nobody"),
        ("/v2/models/nobody/ready", "nobody"),
        ("/v2/models/stub/versions/9", "stub, version 9"),
        ("/v2/models/stub/versions/9/ready", "stub, version 9"),
        ("/v1/models/no", "no"),
    ],
)
def test_an_unknown_model_or_version_is_404_and_named(stub_gateway: Gateway, path: str, named: str) -> None:
    status, body = get(stub_gateway, path)
    assert (status, body["code"]) == (404, "model_not_found")
    assert body["error"].endswith(f": {named}")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/..%2f..%2fmodels",
        "/v2/models/stub/../../../models",
        "/v2/models/a%0d%0ab",
        "/v2/health/nothing",
    ],
)
def test_no_other_path_reaches_the_management_api(stub_gateway: Gateway, path: str) -> None:
    response = requests.Request("GET", stub_gateway.url + path).prepare()
    response.url = stub_gateway.url + path  # as written
    with requests.Session() as session:
        assert session.send(response, timeout=600).status_code in {400, 404}


def test_a_dead_worker_is_not_ready_though_torchserve_calls_itself_healthy(
    harmed: TorchServe, before: Callable[..., Gateway]
) -> None:
    gateway = before(harmed)
    for pid in harmed.worker_pids():
        os.kill(pid, signal.SIGKILL)
    # the watch may look between the two ends
    reason = "stub: 0 of 2 workers ready"
    dead = (503, {"name": "stub", "ready": False, "reason": reason})
    wait_until(lambda: get(gateway, "/v2/models/stub/ready") == dead)
    assert get(gateway, "/v2/health/ready")[0] == 503
    assert get(gateway, "/ping") == (503, {"status": "Unhealthy", "reason": reason})
    assert get(gateway, "/v2/health/live") == (200, {"live": True})
    wait_until(lambda: get(gateway, "/v2/health/ready")[0] == 200)  # TorchServe has restarted them


def test_a_draining_server_is_not_ready_to_a_connection_that_it_still_answers(
    stub_server: TorchServe, before: Callable[..., Gateway]
) -> None:
    gateway = before(stub_server)
    with requests.Session() as session:
        assert session.get(f"{gateway.url}/v2/health/ready", timeout=600).status_code == 200
        gateway.stop_accepting()
        assert session.get(f"{gateway.url}/v2/health/ready", timeout=600).status_code == 503


def test_a_server_whose_torchserve_is_gone_is_neither_live_nor_ready(
    stub_server: TorchServe, before: Callable[..., Gateway], tmp_path: Path
) -> None:
    gone = TorchServe(stub_server.store, ["stub"], tmp_path)
    gone.temp = Path("/nowhere")  # and no socket of its management API
    gateway = before(gone)
    assert gateway.watch
    gateway.watch.answered = time.monotonic() - 60  # it did answer once
    wait_until(lambda: get(gateway, "/v2/health/live") == (503, {"live": False}))
    assert get(gateway, "/") == (503, {"status": "not alive"})
    assert get(gateway, "/v2/models") == (
        503,
        {"error": "the model server does not answer", "code": "unavailable"},
    )
    reason = "the model server does not answer"
    assert get(gateway, "/v2/health/ready") == (503, {"ready": False, "reason": reason})


def test_a_server_that_starts_is_live_and_not_ready(
    stub_server: TorchServe, before: Callable[..., Gateway], tmp_path: Path
) -> None:
    gateway = before(TorchServe(stub_server.store, ["stub"], tmp_path))
    reason = "the model server is starting"
    assert get(gateway, "/v2/health/live") == (200, {"live": True})
    assert get(gateway, "/v2/health/ready") == (503, {"ready": False, "reason": reason})
    assert get(gateway, "/ping") == (503, {"status": "Unhealthy", "reason": reason})
    clip = requests.post(f"{gateway.url}/predictions/stub", b"abc", timeout=600)
    assert (clip.status_code, clip.json()["code"], clip.headers["retry-after"]) == (503, "unavailable", "1")


def test_outputs_of_several_heads_are_named_after_them(
    stub_server: TorchServe, before: Callable[..., Gateway]
) -> None:
    settings = Settings(heads={"action": 2, "object": 3}, default_head="action")
    gateway = before(stub_server, models={"stub": Served(settings, 1)})  # with a default one
    outputs = get(gateway, "/v2/models/stub")[1]["outputs"]
    names = ["label", "score", "action.label", "action.score", "object.label", "object.score", "embedding"]
    assert [output["name"] for output in outputs] == names


def test_the_table_of_heads_is_lua() -> None:
    assert lua_heads({}) == "HEADS = {}\n"
    assert lua_heads({"a-b": ["x", "y"]}) == 'HEADS = {["a-b"] = {"x", "y"}}\n'
