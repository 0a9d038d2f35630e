"""Answers near the largest that TorchServe passes on, of many labels; and those of a model with several heads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from bundle import archive, archived, shipped, sources
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.recordings.configuration import models_of
from serving.torchserve.process import TorchServe
from tests.doubles.checkpoints import write_checkpoint, write_heads

pytestmark = pytest.mark.e2e

LABELS = 3000
MOST = shipped.shipped("max_response_size")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TorchServe, Gateway]]:
    """A server of a model of 3,000 labels and one of three heads, and its gateway."""
    folder = tmp_path_factory.mktemp("models") / "many"
    write_checkpoint(folder, labels=tuple(f"{number:050d}" for number in range(LABELS)))
    (folder / "model.yaml").write_text("source: .\nspeaker_id: {warmup_seconds: [0.1]}\n")
    store = tmp_path_factory.mktemp("many_store")
    for each in (folder, write_heads(folder.with_name("several"))):
        archive.build(sources.resolve(str(each)), store, checkpoints=folder.parent / "checkpoints")
    models = models_of([archived.read(store / "several.mar")])
    with (
        TorchServe(store, ["many", "several"], tmp_path_factory.mktemp("run")) as server,
        Gateway(server, GatewayOptions(ports.free(1)[0]), response_timeout=600, models=models) as gateway,
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


def test_heads_that_share_a_pass_answer_by_name_and_are_chosen_by_name(
    many: tuple[TorchServe, Gateway],
) -> None:
    _, gateway = many
    body = {"instances": [{"array": [0.1, -0.1] * 4000, "sampling_rate": 16_000}]}

    def several(**headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = "/v1/models/several:predict"
        return requests.post(f"{gateway.url}{path}", json=body, headers=named, timeout=600).json()

    (everything,) = several()["predictions"]
    assert {head: len(ranking) for head, ranking in everything.items()} == {"speaker": 3, "keyword": 2}
    assert several(X_Heads="keyword") == {"predictions": [{"keyword": everything["keyword"]}]}
    (vector,) = several(X_Output="embedding")["predictions"]
    assert (vector["model"], vector["dim"], len(vector["embedding"])) == ("voice", 12, 12)
    assert (
        several(X_Heads="mood")["error"]
        == "unknown head 'mood'; known: speaker, keyword; an embedding is output embedding"
    )
    outputs = requests.get(f"{gateway.url}/v2/models/several", timeout=600).json()["outputs"]
    names = ["speaker.label", "speaker.score", "keyword.label", "keyword.score", "embedding"]
    assert [output["name"] for output in outputs] == names
