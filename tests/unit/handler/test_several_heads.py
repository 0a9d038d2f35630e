"""One pass, several answers: a pipeline of a real checkpoint of four heads, small, against each head by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload, Tensors
from speaker_id.settings import Settings

from bundle import archive
from bundle.sources import resolve
from tests.doubles.checkpoints import write_checkpoint
from tests.parity.families import clip
from tests.unit.handler.pipelines import payload, pipeline, wav

GROUPS = {"action": 2, "object": 3}
WAVE = clip(16_000)
INSTANCE = {"array": WAVE.tolist(), "sampling_rate": 16_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "several"
    write_checkpoint(folder / "speaker")
    write_checkpoint(
        folder / "tags", seed=1, labels=("loud", "near"), problem_type="multi_label_classification"
    )
    write_checkpoint(folder / "intent", seed=2, labels=("up", "down", "lamp", "music", "none"))
    write_checkpoint(folder / "voice", seed=3, xvector=True)
    heads = {"speaker": "./speaker", "tags": "./tags", "voice": "./voice"}
    (folder / "model.yaml").write_text(
        json.dumps({"heads": heads | {"intent": {"source": "./intent", "groups": GROUPS}}})
    )
    return folder


def load(source: Path, **settings: Any) -> Pipeline:
    spec = resolve(str(source))
    checkpoint = archive.prepare(spec, source.parent / "checkpoints")
    return Pipeline.load(checkpoint, "cpu", Settings(decoders=1, **settings), Model("several", "1.0"))


@pytest.fixture(scope="module")
def several(folder: Path) -> Pipeline:
    return load(folder)


def ask(asked: Pipeline, *parameters: Any) -> list[Any]:
    bodies = [payload({"instances": [INSTANCE], "parameters": each}) for each in parameters]
    outcomes = asked.identify(bodies)
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    return [outcome.body["predictions"][0] for outcome in outcomes]


def near(found: Any, expected: Any) -> None:
    assert [each["label"] for each in found] == [each["label"] for each in expected]
    torch.testing.assert_close(
        [each["score"] for each in found], [each["score"] for each in expected], rtol=1e-4, atol=1e-6
    )


def test_each_head_answers_what_its_own_model_would(folder: Path, several: Pipeline) -> None:
    (answer,) = ask(several, {})
    assert list(answer) == ["speaker", "tags", "intent.action", "intent.object"]
    near(answer["speaker"], *ask(load(folder / "speaker"), {}))
    near(answer["tags"], *ask(load(folder / "tags"), {}))  # by sigmoid, as its own config says
    (intent,) = ask(load(folder / "intent", heads=GROUPS), {})
    near(answer["intent.action"], intent["action"])
    near(answer["intent.object"], intent["object"])


def test_a_default_head_answers_as_a_model_of_one_head_what_names_none(
    folder: Path, several: Pipeline
) -> None:
    asked = load(folder, default_head="tags")
    (everything,) = ask(several, {})
    alone, every, named = ask(asked, {}, {"heads": "all"}, {"heads": ["tags"]})
    near(alone, everything["tags"])  # by sigmoid, as that head's own config says
    assert list(every) == list(everything)
    assert named == {"tags": alone}


def test_a_default_heads_outputs_of_v2_are_without_its_name_and_with_it(folder: Path) -> None:
    asked = load(folder, default_head="tags")

    def found(**more: Any) -> dict[str, Any]:
        tensor = {"name": "a", "datatype": "FP32", "shape": [1, len(WAVE)], "data": WAVE.tolist()}
        body = {"inputs": [tensor], "parameters": {"sampling_rate": 16_000}, **more}
        (outcome,) = asked.identify([payload(body)])
        return {output["name"]: output["data"] for output in outcome.body["outputs"]}

    alone = found()
    assert list(alone) == ["label", "score"]
    assert sorted(alone["label"]) == ["loud", "near"]
    both = found(outputs=[{"name": name} for name in ("label", "tags.label", "speaker.label")])
    assert both["label"] == both["tags.label"] == alone["label"]
    classes = [{"name": name, "parameters": {"classification": 1}} for name in ("score", "tags.score")]
    best = found(outputs=classes)
    assert best["score"] == best["tags.score"]
    assert best["score"][0].endswith(alone["label"][0])
    (outcome,) = asked.identify(
        [Payload({}, tensors=Tensors(waveforms=WAVE[None], parameters={"sampling_rate": 16_000}))]
    )
    assert list(outcome.tensors) == ["label", "score", "scores"]


def test_callers_of_one_batch_get_the_heads_that_each_asks_for(several: Pipeline) -> None:
    everything, some, vector, other = ask(
        several,
        {},
        {"heads": "tags,intent.object"},
        {"output": "embedding"},
        {"heads": ["speaker"], "top_k": 1},
    )
    assert some == {"tags": everything["tags"], "intent.object": everything["intent.object"]}
    assert other == {"speaker": everything["speaker"][:1]}
    assert vector["dim"] == len(vector["embedding"])


def test_the_embedding_is_the_x_vector_of_its_own_model_at_length_one(
    folder: Path, several: Pipeline
) -> None:
    (found,) = ask(several, {"output": "embedding"})
    alone = load(folder / "voice")
    (own,) = ask(alone, {"output": "embedding"})
    np.testing.assert_allclose(found["embedding"], own["embedding"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found["embedding"]), 1, rtol=1e-6)
    assert (found["model"], found["dim"]) == ("voice", 12)
    assert found["revision"] == own["revision"], "the same weights, whatever else shares their pass"
    assert len(found["revision"]) == 64
    (speakers,) = ask(load(folder / "speaker"), {"output": "embedding"})
    assert speakers["revision"] != own["revision"]
    assert (speakers["model"], speakers["dim"]) == ("speaker", 16)


def test_a_model_without_labels_answers_with_its_embedding_only(folder: Path) -> None:
    tensor = {"name": "a", "datatype": "FP32", "shape": [1, len(WAVE)], "data": WAVE.tolist()}
    beside = {"inputs": [tensor], "outputs": [{"name": "embedding"}, {"name": "label"}]}
    tensors = Tensors(
        waveforms=WAVE[None], outputs=("embedding", "scores"), parameters={"sampling_rate": 16_000}
    )
    asked = [
        payload({"instances": [INSTANCE]}),
        payload(beside | {"parameters": {"sampling_rate": 16_000}}),
        Payload({}, tensors=tensors),  # Triton fails the whole batch over a tensor of no numbers
    ]
    for outcome in load(folder / "voice").identify(asked):
        assert outcome.body["error"] == "the model has no labels: ask for its embedding with output embedding"


def test_v2_has_rankings_and_the_embedding_by_name(several: Pipeline) -> None:
    names = ["embedding", "intent.object.label", "speaker.score"]
    tensor = {"name": "a", "datatype": "FP32", "shape": [1, len(WAVE)], "data": WAVE.tolist()}
    body = {
        "inputs": [tensor],
        "outputs": [{"name": name} for name in names],
        "parameters": {"sampling_rate": 16_000},
    }
    everything, vector = ask(several, {}, {"output": "embedding"})
    (outcome,) = several.identify([payload(body)])
    found = {output["name"]: output for output in outcome.body["outputs"]}
    assert list(found) == names
    assert found["embedding"]["shape"] == [1, 12]
    assert found["embedding"]["parameters"] == {key: vector[key] for key in ("model", "revision", "dim")}
    np.testing.assert_allclose(found["embedding"]["data"], vector["embedding"], atol=1e-6)
    assert found["intent.object.label"]["data"] == [each["label"] for each in everything["intent.object"]]
    np.testing.assert_allclose(
        found["speaker.score"]["data"], [each["score"] for each in everything["speaker"]], rtol=1e-4
    )


def test_a_clip_too_short_for_an_embedding_is_refused_and_only_then(several: Pipeline) -> None:
    short = wav(0.5, 800)
    least = several.encoder.min_embedding_samples
    assert least == 400 + 8 * 320
    vector, ranking = several.identify(
        [Payload({"body": short}, {"X-Output": "embedding"}), Payload({"body": short})]
    )
    assert vector.body["code"] == "audio_too_short"
    assert ranking.error is None


def test_embeddings_of_a_batch_are_those_of_each_clip_alone() -> None:
    loud, quiet = (Payload({"body": wav(value)}, {"X-Output": "embedding"}) for value in (0.5, -0.25))
    asked = pipeline()
    first, second = (outcome.body for outcome in asked.identify([loud, quiet]))
    assert first == {
        "model": "org/sid",
        "revision": "c0ffee",
        "dim": 3,
        "embedding": pytest.approx([0.6, 0, 0.8]),
    }
    assert second["embedding"] == pytest.approx([-0.6, 0, -0.8])


def test_an_embedding_that_is_too_large_to_be_sent_is_refused_before_the_work() -> None:
    asked = pipeline(max_response_bytes=1024)
    body = {"instances": [{"array": [0.5] * 8000, "sampling_rate": 16_000}] * 64, "parameters": {}}
    body["parameters"] = {"output": "embedding"}
    (outcome,) = asked.identify([payload(body)])
    assert outcome.body["code"] == "request_too_large"


def test_tensors_of_a_server_are_those_of_the_heads_that_are_asked_for(several: Pipeline) -> None:
    def found(outputs: tuple[str, ...] = (), **parameters: Any) -> dict[str, Any]:
        tensors = Tensors(
            waveforms=WAVE[None], parameters={"sampling_rate": 16_000, **parameters}, outputs=outputs
        )
        (outcome,) = several.identify([Payload({}, tensors=tensors)])
        assert outcome.error is None
        return outcome.tensors

    fields = ("label", "score", "scores")
    assert list(found(heads="tags")) == [f"tags.{field}" for field in fields]
    assert list(found(output="embedding")) == ["embedding"]
    assert len(found()) == 12
    named = found(("speaker.scores", "embedding"))
    assert (named["speaker.scores"].shape, named["embedding"].shape) == ((1, 3), (1, 12))
