"""Enrolled voices behind a real server: what it answers, and another gallery under load. With --server, Triton too."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from speaker_id.clip import Waveform
from speaker_id.gallery_manifest import GALLERY_FILE

from bundle import archive, archived, sources, store
from bundle.spec import ModelSpec
from serving import state
from serving.rollout.agreement import Clip
from serving.rollout.rollout import Rollout
from serving.service import Service
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.galleries import tone, write_gallery
from tests.e2e.open_sets import on_each_server, served, wav

pytestmark = pytest.mark.e2e

# a model that is not trained tells tones and silence apart
VOICES = {"zoe": tone(200), "yann": tone(3_000)}
STRANGER = np.zeros(16_000, np.float32)


pytest_generate_tests = on_each_server


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of x-vectors alone, a gallery of both voices, and one that zoe has been removed from."""
    root = tmp_path_factory.mktemp("gallery")
    write_checkpoint(root / "voices", seed=3, xvector=True)
    (root / "voices" / "model.yaml").write_text("source: .\n")
    checkpoint = archive.prepare(sources.resolve(str(root / "voices")), root / "checkpoints")
    write_gallery(root / "both", checkpoint, VOICES, [STRANGER])
    write_gallery(root / "without", checkpoint, {"yann": VOICES["yann"]}, [STRANGER, VOICES["zoe"]])
    for name, clip in {**VOICES, "nobody": STRANGER}.items():
        (root / f"{name}.wav").write_bytes(wav(clip))
    return root


def of(root: Path, gallery: str, version: str = "1.0") -> ModelSpec:
    spec = sources.with_gallery(sources.resolve(str(root / "voices")), str(root / gallery))
    return spec.model_copy(update={"version": version})


@pytest.fixture(scope="module")
def service(
    root: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with served(of(root, "both"), request.param, root / "checkpoints", tmp_path_factory) as running:
        yield running


def post(service: Service, clip: Waveform, query: str = "", **headers: str) -> requests.Response:
    url = f"{service.gateway.url}/predictions/voices{query}"
    return requests.post(url, wav(clip), headers=headers, timeout=600)


def best(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    ranking = answer.json()
    assert sum(each["score"] for each in ranking) == pytest.approx(1, abs=1e-5)
    return str(ranking[0]["label"])


def test_a_clip_is_of_a_voice_or_unknown_and_a_request_says_how_strictly(service: Service) -> None:
    for name, clip in VOICES.items():
        assert best(post(service, clip)) == name
    assert best(post(service, STRANGER)) == "unknown"
    assert best(post(service, STRANGER, "?fpir=0.5")) in VOICES
    assert best(post(service, STRANGER, **{"X-Min-Score": "0"})) in VOICES
    both = post(service, STRANGER, "?fpir=0.5", **{"X-Min-Score": "0"})
    assert (both.status_code, both.json()["code"]) == (400, "invalid_parameter")
    assert post(service, STRANGER, "?fpir=2").status_code == 400
    assert post(service, STRANGER, **{"X-Fpir": "0.1%"}).status_code == 400
    vector = post(service, STRANGER, "?fpir=0.5&output=embedding")
    assert (vector.status_code, vector.json()["code"]) == (400, "invalid_parameter")


def test_open_inference_has_it_as_any_head(service: Service) -> None:
    url = f"{service.gateway.url}/v2/models/voices"
    clip = VOICES["zoe"].tolist()
    body: dict[str, Any] = {
        "inputs": [{"name": "w", "datatype": "FP32", "shape": [1, len(clip)], "data": clip}],
        "outputs": [{"name": "label"}, {"name": "score", "parameters": {"classification": 1}}],
        "parameters": {"sampling_rate": 16_000, "min_score": 0.5},
    }
    label, score = requests.post(f"{url}/infer", json=body, timeout=600).json()["outputs"]
    assert label["data"][0] == "zoe"
    assert score["data"][0].endswith(":0:zoe")
    names = [output["name"] for output in requests.get(url, timeout=600).json()["outputs"]]
    assert names == ["label", "score", "embedding"]
    paths = requests.get(f"{service.gateway.url}/openapi.json", timeout=600).json()
    assert "X-Fpir" in paths["components"]["parameters"]


def test_who_was_heard_is_in_no_metric_and_no_log(service: Service) -> None:
    assert best(post(service, VOICES["zoe"])) == "zoe"
    metrics = requests.get(service.exporter.url, timeout=60).text
    assert "speaker_id_answer_surprise_nats" in metrics
    logs = [path for path in service.run.rglob("*.log") if path.is_file()]
    assert logs
    for text in (metrics, *(path.read_text("utf-8", "replace") for path in logs)):
        assert "zoe" not in text


def test_a_voice_is_removed_under_load_and_no_request_fails(
    service: Service, root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = state.read(service.run / state.FILE)
    assert running
    built = archive.build
    monkeypatch.setattr(
        archive, "build", lambda *given, **more: built(*given, **more, checkpoints=root / "checkpoints")
    )
    clips = [Clip(root / f"{name}.wav") for name in ("nobody", "yann", "zoe")]
    answers: Counter[tuple[str, str, str]] = Counter()
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            for name, clip in {**VOICES, "nobody": STRANGER}.items():
                found = post(service, clip)
                said = found.json()[0]["label"] if found.ok else found.text
                answers[found.headers.get("x-model-version", ""), name, said] += 1

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        Rollout(of(root, "without", "2.0"), running, service.run, declared="1.0").to_new(clips, share=0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    said = capfd.readouterr().out
    assert "old and new version agree on 2 of 2 clips, labels of voices that came or went left out: 1" in said
    right = {(version, name, name) for version in ("1.0", "2.0") for name in VOICES}
    right |= {(version, "nobody", "unknown") for version in ("1.0", "2.0")}
    assert set(answers) <= right - {("2.0", "zoe", "zoe")} | {("2.0", "zoe", "unknown")}
    assert {version for version, _, _ in answers} == {"1.0", "2.0"}
    assert sum(answers.values()) > 30
    assert best(post(service, VOICES["zoe"])) == "unknown"
    assert best(post(service, VOICES["yann"])) == "yann"
    unpacked = [file for place in (service.run, service.server.temp) for file in place.rglob(GALLERY_FILE)]
    assert unpacked
    assert not [file for file in unpacked if b"zoe" in file.read_bytes()]
    kept = store.of_version(service.server.store, "voices", "1.0")
    assert kept.is_file(), "who is removed stays in the archive of the way back, until that is deleted"
    assert GALLERY_FILE in archived.manifest(kept).files
    Rollout(of(root, "without", "1.0"), running, service.run, declared="1.0").to_new(clips, share=0)
    assert best(post(service, VOICES["zoe"])) == "zoe", "the way back takes the archive as it is"
