"""Answers near the largest that TorchServe passes on, of a model with many labels."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from bundle import archive, shipped, sources
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.torchserve.process import TorchServe
from tests.doubles.checkpoints import write_checkpoint

pytestmark = pytest.mark.e2e

LABELS = 3000
MOST = shipped.shipped("max_response_size")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TorchServe, Gateway]]:
    """A server of a model of 3,000 labels, and its gateway."""
    folder = tmp_path_factory.mktemp("models") / "many"
    write_checkpoint(folder, labels=tuple(f"{number:050d}" for number in range(LABELS)))
    (folder / "model.yaml").write_text("source: .\nspeaker_id: {warmup_seconds: [0.1]}\n")
    store = tmp_path_factory.mktemp("many_store")
    archive.build(sources.resolve(str(folder), root=folder.parent), store)
    with (
        TorchServe(store, ["many"], tmp_path_factory.mktemp("run")) as server,
        Gateway(server, GatewayOptions(ports.free(1)[0]), response_timeout=600) as gateway,
    ):
        server.start()
        server.wait_ready()
        gateway.start()
        yield server, gateway
        server.stop(0)


def ask(gateway: Gateway, clips: int, top_k: int = LABELS) -> requests.Response:
    clip = {"array": [0.1, -0.1] * 250, "sampling_rate": 16_000}
    body: dict[str, Any] = {
        "instances": [clip] * clips,
        "parameters": {"top_k": top_k, "function_to_apply": "softmax"},
    }
    return requests.post(f"{gateway.url}/predictions/many", json=body, timeout=600)


def test_one_just_below_the_limit_arrives_whole_also_eight_at_a_time(
    many: tuple[TorchServe, Gateway],
) -> None:
    _, gateway = many
    one = len(ask(gateway, 1).content)
    clips = MOST // one
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(gateway, clips), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(MOST * 0.9 < len(answer.content) <= MOST for answer in answers)
    assert {len(answer.json()["predictions"]) for answer in answers} == {clips}


@pytest.mark.parametrize("known", ["before it is built", "by its text alone"])
def test_a_larger_one_is_the_callers_error_and_ends_no_worker(
    many: tuple[TorchServe, Gateway], known: str
) -> None:
    server, gateway = many
    workers = server.worker_pids()
    clips = 64 if known == "before it is built" else MOST // len(ask(gateway, 1).content) + 1
    answer = ask(gateway, clips)
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")
    assert f"the maximum is {MOST}" in answer.json()["error"]
    decoded = float(answer.headers["X-Audio-Seconds"]) > 0
    assert decoded == (known == "by its text alone")
    assert ask(gateway, 1, top_k=1).status_code == 200
    assert server.worker_pids() == workers
