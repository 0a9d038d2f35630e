"""Heads that may answer "unknown", in a pipeline: their place among the model's, and what a request asks of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from speaker_id.calibrated import UNKNOWN
from speaker_id.open_set import Joined, OperatingPoint
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Payload, Tensors
from torch import Tensor

from tests.unit.handler.pipelines import LoudnessEncoder, payload, pipeline, wav


@dataclass(frozen=True)
class Voices:
    """A gallery's double: "loud" by the embedding's first number; unknown at the threshold asked for, else at 0.5."""

    labels: tuple[str, ...] = ("loud", UNKNOWN)
    reads: int = 0
    embeds: bool = True
    source: int | None = None

    def logits(
        self,
        rows: Tensor,
        embeddings: Tensor | None,
        /,
        fpir: float | None = None,
        min_score: float | None = None,
    ) -> Tensor:
        assert embeddings is not None
        assert rows.shape == (len(embeddings), 0)
        unknown = next((x for x in (fpir, min_score) if x is not None), 0.5)
        return torch.cat([embeddings[:, :1], torch.full((len(rows), 1), unknown)], 1)


@dataclass(frozen=True)
class Guard:
    """A guard's double over the model's two logits: unknown at 1."""

    labels: tuple[str, ...] = ("up", "down", UNKNOWN)
    reads: int = 2
    embeds: bool = False
    source: int | None = 1

    def logits(
        self,
        rows: Tensor,
        embeddings: Tensor | None,
        /,
        fpir: float | None = None,
        min_score: float | None = None,
    ) -> Tensor:
        assert embeddings is None
        return torch.cat([rows, torch.full((len(rows), 1), fpir or 1.0)], 1)


def beside() -> Pipeline:
    """Two labels of the model's own, and voices."""
    made = pipeline(heads={"level": 2, "enrolled": 2}, open_sets={"enrolled": "gallery"})
    return replace(made, labels=("up", "down", *Voices().labels), open_sets={"enrolled": Voices()})


def alone() -> Pipeline:
    """Voices only, of a model without labels."""

    class Unlabelled(LoudnessEncoder):
        def embed(self, waveforms: Any, sources: Any = (None,)) -> tuple[Tensor, Tensor]:
            logits, embeddings = super().embed(waveforms, sources)
            return logits[:, :0], embeddings

    made = pipeline(Unlabelled(), open_sets={"": "gallery"})
    return replace(made, labels=Voices().labels, open_sets={"": Voices()})


def guarded() -> Pipeline:
    made = pipeline(open_sets={"": "guard"})
    return replace(made, labels=Guard().labels, open_sets={"": Guard()})


def samples(value: float) -> dict[str, Any]:
    return {"array": [value] * 1600, "sampling_rate": 16_000}


def ask(asked: Pipeline, value: float = 0.5, **parameters: Any) -> Any:
    (outcome,) = asked.identify([payload({"instances": [samples(value)], "parameters": parameters})])
    assert outcome.error is None, outcome.error
    return outcome.body["predictions"][0]


def refusal(asked: Pipeline, **parameters: Any) -> str:
    (outcome,) = asked.identify([payload({"instances": [samples(0.5)], "parameters": parameters})])
    assert outcome.body["code"] == "invalid_parameter"
    return str(outcome.body["error"])


def best(ranking: list[dict[str, Any]]) -> str:
    return str(ranking[0]["label"])


def test_voices_are_one_more_head_beside_others() -> None:
    found = ask(beside(), 0.5)  # an embedding of 1.5
    assert list(found) == ["level", "enrolled"]
    assert [each["label"] for each in found["enrolled"]] == ["loud", UNKNOWN]
    assert [each["score"] for each in found["enrolled"]] == pytest.approx([1.5, 0.5])
    assert [each["score"] for each in found["level"]] == pytest.approx([0.5, -0.5])
    assert best(ask(beside(), 0.1)["enrolled"]) == UNKNOWN


def test_a_model_of_voices_alone_answers_as_one_head() -> None:
    assert [each["label"] for each in ask(alone())] == ["loud", UNKNOWN]
    assert best(ask(alone(), 0.1)) == UNKNOWN


def test_a_guard_adds_unknown_to_its_heads_labels() -> None:
    assert [each["label"] for each in ask(guarded(), 0.5)] == [UNKNOWN, "up", "down"]
    assert best(ask(guarded(), 1.5)) == "up"


@pytest.mark.parametrize("name", ["fpir", "min_score"])
@pytest.mark.parametrize("place", ["parameter", "header", "query", "path", "part", "tensors"])
def test_a_request_says_when_it_is_unknown_as_any_option(name: str, place: str) -> None:
    clip = wav(0.05)  # an embedding of 0.15
    asked = {
        "parameter": payload({"instances": [samples(0.05)], "parameters": {name: 0.125}}),
        "header": Payload({"body": clip}, {f"X-{name.replace('_', '-').title()}": "0.125"}),
        "query": Payload({"body": clip}, query=f"{name}=0.125"),
        "path": Payload({"body": clip}, path=f"{name}/0.125"),
        "part": Payload({"data": clip, name: b"0.125"}),
        "tensors": Payload({}, tensors=Tensors(audio=[clip], parameters={name: 0.125})),
    }[place]
    (outcome,) = alone().identify([asked])
    assert outcome.error is None
    if place == "tensors":
        assert outcome.tensors["label"].tolist() == [[b"loud", b"unknown"]]
        return
    found = outcome.body["predictions"][0] if place == "parameter" else outcome.body
    assert best(found) == "loud"
    assert best(ask(alone(), 0.05)) == UNKNOWN


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fpir": 0.0009}, "fpir must be a number from 0.001 to 0.5, not 0.0009"),
        ({"fpir": "1%"}, "fpir must be a number from 0.001 to 0.5, not '1%'"),
        ({"fpir": True}, "fpir must be a number from 0.001 to 0.5, not true"),
        ({"fpir": float("nan")}, "fpir must be a number from 0.001 to 0.5, not nan"),
        ({"fpir": "nan"}, "fpir must be a number from 0.001 to 0.5, not 'nan'"),
        ({"min_score": 1.01}, "min_score must be a number from 0 to 1, not 1.01"),
        ({"min_score": "-0.1"}, "min_score must be a number from 0 to 1, not '-0.1'"),
        ({"min_score": [0.5]}, "min_score must be a number from 0 to 1, not a list"),
        ({"fpir": 10**400}, "fpir must be a number from 0.001 to 0.5, not a number of more than 40 digits"),
        (
            {"fpir": 0.01, "min_score": 0.5},
            "fpir and min_score both say when the answer is unknown: send one of them",
        ),
    ],
)
def test_what_is_no_threshold_is_refused_with_what_is_allowed(given: dict[str, Any], words: str) -> None:
    assert refusal(alone(), **given) == words


@pytest.mark.parametrize("text", ["1", "1.0", ".5", "5e-1", " 0.5 "])
def test_a_number_may_be_text(text: str) -> None:
    assert best(ask(alone(), 0.5, min_score=text)) == "loud"


def test_a_model_that_never_answers_unknown_refuses_them() -> None:
    assert refusal(pipeline(), fpir=0.1) == "fpir is of a model that may answer unknown; this one never does"
    assert refusal(pipeline(), min_score=0.1).startswith("min_score is of a model that may")


def test_a_threshold_that_no_head_of_the_request_reads_is_refused() -> None:
    assert best(ask(beside(), 0.1, heads="level,enrolled", fpir=0.1)["enrolled"]) == "loud"
    assert refusal(beside(), heads="level", fpir=0.1) == (
        "fpir is of heads that may answer unknown, enrolled: this request asks for none of them"
    )
    assert refusal(beside(), output="embedding", min_score=0.1).startswith("min_score is of heads that may")
    assert refusal(alone(), output="embedding", fpir=0.1) == (
        "fpir says when a ranking has unknown first: this request asks for no ranking"
    )


def test_the_embedding_is_computed_where_a_head_that_reads_it_is_asked_for() -> None:
    """A clip is long enough for logits at 400 samples, for an embedding at 800."""
    short = {"array": [0.5] * 400, "sampling_rate": 16_000}
    for parameters, code in (({}, "audio_too_short"), ({"heads": "level"}, None)):
        (outcome,) = beside().identify([payload({"instances": [short], "parameters": parameters})])
        assert (outcome.error.code if outcome.error else None) == code
    (outcome,) = guarded().identify([payload({"instances": [short]})])
    assert outcome.error is None


def test_certainties_are_of_the_heads_that_were_computed() -> None:
    bodies = [
        payload({"instances": [samples(0.5)], "parameters": parameters})
        for parameters in ({}, {"heads": "level"}, {"output": "embedding"})
    ]
    assert [len(outcome.certainties) for outcome in beside().identify(bodies)] == [2, 1, 1]
    assert [len(outcome.certainties) for outcome in alone().identify(bodies[2:])] == [0]


def test_outputs_of_v2_have_the_head_by_name() -> None:
    tensor = {"name": "a", "datatype": "FP32", "shape": [1, 1600], "data": [0.5] * 1600}
    asked = [{"name": "enrolled.score", "parameters": {"classification": 1}}, {"name": "enrolled.label"}]
    body = {"inputs": [tensor], "parameters": {"sampling_rate": 16_000}, "outputs": asked}
    (outcome,) = beside().identify([payload(body)])
    assert [output["data"] for output in outcome.body["outputs"]] == [["1.5:0:loud"], ["loud", UNKNOWN]]


def test_joined_logits_are_in_the_heads_order_and_zeros_where_nobody_asked() -> None:
    joined = Joined({"a": 3, "enrolled": 2, "b": 2}, {"a": Guard(), "enrolled": Voices()})
    rows, vectors = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[7.0]])
    everything = joined.logits(rows, {None: vectors}, ("a", "enrolled", "b"), OperatingPoint())
    assert everything.tolist() == [[1, 2, 1, 7, 0.5, 3, 4]]
    assert joined.logits(rows, {}, ("b",), OperatingPoint()).tolist() == [[0, 0, 0, 0, 0, 3, 4]]
    assert joined.reads == 4
    assert joined.sources(("a", "enrolled")) == [None]  # this guard needs none
    assert joined.sources(("a", "b")) == []
