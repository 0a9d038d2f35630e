"""A batch that is really a batch, on a real TorchServe: own answers, own statuses, and company changes nothing."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from bundle import archive, sources
from serving.torchserve.process import TorchServe, serving

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
BATCH = 5
CLIPS = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))


def post(server: TorchServe, body: bytes, **headers: str) -> requests.Response:
    headers = {"Content-Type": "application/octet-stream", **headers}
    return requests.post(f"{server.url}/predictions/demo", data=body, headers=headers, timeout=600)


def together(server: TorchServe, bodies: Sequence[bytes]) -> list[requests.Response]:
    """Send the bodies at once to a server that waits for exactly so many, and hold that they were one batch."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda body: post(server, body), bodies))
    assert [answer.headers["X-Batch-Size"] for answer in answers] == [str(BATCH)] * BATCH, "no batch formed"
    return answers


def alone(server: TorchServe, body: bytes) -> Any:
    return post(server, body).json()


def scores(ranking: list[dict[str, Any]]) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in ranking}


@contextlib.contextmanager
def changed(folder: Path, **settings: int) -> Iterator[TorchServe]:
    """A server of the demo model with other TorchServe settings."""
    store, run = folder / "store", folder / "run"
    store.mkdir()
    spec = sources.resolve("demo", root=ROOT / "models")
    archive.build(spec.model_copy(update={"torchserve": spec.torchserve.model_copy(update=settings)}), store)
    with serving(store, ["demo"], run) as running:
        yield running
        running.stop(0)  # idle, it takes three seconds to end by itself


@pytest.fixture(scope="module")
def batching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    """A server that waits a minute for its batch to fill, so that a batch is what the test sends at once."""
    with changed(tmp_path_factory.mktemp("batching"), batchSize=BATCH, maxBatchDelay=60_000) as running:
        yield running


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    with changed(tmp_path_factory.mktemp("two"), minWorkers=2, maxWorkers=2) as running:
        yield running


def test_three_good_and_two_bad_clips_in_one_batch(server: TorchServe, batching: TorchServe) -> None:
    good = [clip.read_bytes() for clip in CLIPS[:3]]
    bodies = [good[0], b"no audio at all", good[1], good[2][: len(good[2]) // 2], good[2]]
    answers = together(batching, bodies)
    assert [answer.status_code for answer in answers] == [200, 415, 200, 422, 200]
    for index in (0, 2, 4):
        assert scores(answers[index].json()) == pytest.approx(scores(alone(server, bodies[index])), abs=1e-6)
    assert answers[1].json()["code"] == "unsupported_media"
    assert answers[3].json()["code"] == "truncated_audio"


def test_every_form_of_request_shares_a_batch(server: TorchServe, batching: TorchServe) -> None:
    audio = CLIPS[0].read_bytes()
    b64 = base64.b64encode(audio).decode()
    v2 = {"inputs": [{"name": "a", "datatype": "BYTES", "shape": [1], "data": [b64]}]}
    requests_ = [
        {"data": audio},
        {"files": {"data": audio}},
        {"json": {"inputs": b64}},
        {"json": {"instances": [{"b64": b64}]}},
        {"json": v2},
    ]
    with ThreadPoolExecutor(BATCH) as pool:
        url = f"{batching.url}/predictions/demo"
        answers = list(pool.map(lambda request: requests.post(url, timeout=600, **request), requests_))
    assert {answer.headers["X-Batch-Size"] for answer in answers} == {str(BATCH)}
    expected = [entry["label"] for entry in alone(server, audio)]
    ranking, multipart, hugging_face, v1, v2_answer = (answer.json() for answer in answers)
    for plain in (ranking, multipart, hugging_face, v1["predictions"][0]):
        assert [entry["label"] for entry in plain] == expected
    assert v2_answer["outputs"][0]["data"] == expected


@pytest.mark.parametrize("company", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (0, 0, 0, 0, 5), (6, 7, 8, 0, 9)])
def test_a_clip_in_any_company_gets_the_answer_it_gets_alone(
    server: TorchServe, batching: TorchServe, company: tuple[int, ...]
) -> None:
    bodies = [CLIPS[index].read_bytes() for index in company]
    for answer, body in zip(together(batching, bodies), bodies, strict=True):
        assert scores(answer.json()) == pytest.approx(scores(alone(server, body)), abs=1e-5)


def test_two_workers_answer_alike_and_both_work(two_workers: TorchServe, server: TorchServe) -> None:
    assert len(two_workers.worker_pids()) == 2
    bodies = [clip.read_bytes() for clip in CLIPS]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: post(two_workers, body), bodies * 4))
    expected = [scores(alone(server, body)) for body in bodies] * 4
    for answer, ranking in zip(answers, expected, strict=True):
        assert scores(answer.json()) == pytest.approx(ranking, abs=1e-5)
    log = (two_workers.logs / "handler_log.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    workers = {line["pid"] for line in lines if line.get("status") == 200}
    assert len(workers) == 2, "one worker answered everything"


def test_nothing_about_a_voice_in_the_logs(server: TorchServe) -> None:
    ranking = alone(server, CLIPS[0].read_bytes())
    logs = "".join(path.read_text("utf-8", "replace") for path in server.logs.rglob("*") if path.is_file())
    assert '"audio_s":' in logs, "the request's line is there"
    for entry in ranking:
        assert entry["label"] not in logs
        assert str(entry["score"]) not in logs
