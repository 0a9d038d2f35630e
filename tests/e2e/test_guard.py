"""A classifier with a guard behind a real server, beside a head without one. With --server, Triton too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from speaker_id.clip import Waveform

from bundle import archive, sources
from bundle.spec import guard_file
from serving.service import Service
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.galleries import tone
from tests.doubles.guards import write_guard
from tests.e2e.open_sets import on_each_server, served, wav

pytestmark = pytest.mark.e2e

# a model that is not trained tells tones and silence apart; its labels it gives as it likes
KNOWN = {"anna": tone(200), "bernd": tone(1_000), "chloe": tone(3_000)}
STRANGER = np.zeros(16_000, np.float32)
HEADS = {"mood": "./mood", "speaker": {"source": "./speaker", "unknown": {}}}


pytest_generate_tests = on_each_server


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("guard")
    write_checkpoint(root / "guarded" / "speaker", seed=1)
    write_checkpoint(root / "guarded" / "mood", seed=2, labels=("good", "bad"))
    (root / "guarded" / "model.yaml").write_text(json.dumps({"heads": HEADS}))
    spec = sources.resolve(str(root / "guarded")).without_guards()
    plain = archive.prepare(spec, root / "checkpoints")
    write_guard(root / "guarded" / guard_file("speaker"), plain, KNOWN, [STRANGER], "speaker")
    return root


@pytest.fixture(scope="module")
def service(
    root: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    spec = sources.resolve(str(root / "guarded"))
    with served(spec, request.param, root / "checkpoints", tmp_path_factory) as running:
        yield running


def post(service: Service, clip: Waveform, query: str = "") -> Any:
    url = f"{service.gateway.url}/predictions/guarded{query}"
    answer = requests.post(url, wav(clip), timeout=600)
    assert answer.status_code == 200, answer.text
    return answer.json()


def best(answer: Any) -> str:
    assert sum(each["score"] for each in answer["speaker"]) == pytest.approx(1, abs=1e-5)
    return str(answer["speaker"][0]["label"])


def test_a_stranger_is_unknown_and_a_request_says_how_strictly(service: Service) -> None:
    for clip in KNOWN.values():
        assert best(post(service, clip)) != "unknown"
    found = post(service, STRANGER)
    assert best(found) == "unknown"
    assert {each["label"] for each in found["speaker"]} == {*KNOWN, "unknown"}
    assert {each["label"] for each in found["mood"]} == {"good", "bad"}
    assert best(post(service, STRANGER, "?fpir=0.5")) != "unknown"
    assert best(post(service, KNOWN["anna"], "?min_score=1")) == "unknown"
    assert list(post(service, STRANGER, "?heads=mood")) == ["mood"]
    url = f"{service.gateway.url}/predictions/guarded?heads=mood&fpir=0.5"
    refused = requests.post(url, wav(STRANGER), timeout=600)
    assert refused.status_code == 400
    assert "fpir is of heads that may answer unknown, speaker: this request asks" in refused.json()["error"]


def test_open_inference_has_unknown_among_the_heads_labels(service: Service) -> None:
    body: dict[str, Any] = {
        "inputs": [{"name": "w", "datatype": "FP32", "shape": [1, 16_000], "data": STRANGER.tolist()}],
        "outputs": [
            {"name": "speaker.label"},
            {"name": "speaker.score", "parameters": {"classification": 4}},
            {"name": "mood.score"},
        ],
        "parameters": {"sampling_rate": 16_000},
    }
    url = f"{service.gateway.url}/v2/models/guarded"
    label, score, mood = requests.post(f"{url}/infer", json=body, timeout=600).json()["outputs"]
    assert label["data"][0] == "unknown"
    assert score["shape"] == [1, 4]
    assert score["data"][0].endswith(":3:unknown"), "its index is behind those of the head's own labels"
    assert sum(mood["data"]) == pytest.approx(1, abs=1e-5)
    names = [output["name"] for output in requests.get(url, timeout=600).json()["outputs"]]
    assert names == ["mood.label", "mood.score", "speaker.label", "speaker.score", "embedding"]


def test_who_was_heard_is_in_no_metric_and_no_log(service: Service) -> None:
    post(service, KNOWN["anna"])
    metrics = requests.get(service.exporter.url, timeout=60).text
    assert "speaker_id_answer_surprise_nats" in metrics
    for text in (metrics, *(path.read_text("utf-8", "replace") for path in service.run.rglob("*.log"))):
        assert not {label for label in KNOWN if label in text}
