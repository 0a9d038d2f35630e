"""Which heads a request asks for, and its embedding, in every form and place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from speaker_id.errors import InvalidParameter
from speaker_id.protocol import Payload, Request, parse
from speaker_id.settings import Settings

HEADS = Settings(heads={"speaker": 3, "emotion": 2, "intent.action": 2, "intent.object": 3})
DEFAULT = HEADS.model_copy(update={"default_head": "speaker"})
ALL = tuple(HEADS.heads)
CLIP = b"RIFF and so on"
TENSOR = {"name": "audio", "datatype": "BYTES", "shape": [1], "data": ["UklGRg=="]}


def asked(parameters: Any = None, settings: Settings = HEADS, **place: Any) -> Request:
    """The request of a clip: a v1 body with parameters, or bytes with options in another place."""
    if parameters is None:
        return parse(Payload({"body": CLIP}, **place), settings)
    body = {"instances": [{"b64": "UklGRg=="}], "parameters": parameters}
    return parse(Payload({"body": json.dumps(body).encode()}, **place), settings)


def refusal(*arguments: Any, **more: Any) -> str:
    with pytest.raises(InvalidParameter) as refused:
        asked(*arguments, **more)
    return refused.value.message


def outputs(parameters: Any = None, wanted: Any = None, settings: Settings = HEADS) -> list[str]:
    body = {"inputs": [TENSOR], "parameters": parameters, "outputs": wanted}
    request = parse(Payload({"body": json.dumps(body).encode()}), settings)
    return [output.name for output in request.outputs]


def test_all_heads_answer_by_default() -> None:
    assert asked().heads == ALL
    assert asked(settings=Settings()).heads == ("",)


@pytest.mark.parametrize(
    "given",
    [
        ["emotion", "speaker"],
        "emotion, speaker",
        "speaker,emotion,speaker",
        ["speaker", "emotion", "emotion"],
    ],
)
def test_heads_are_a_list_or_names_with_commas_and_come_in_the_models_order(given: Any) -> None:
    assert asked({"heads": given}).heads == ("speaker", "emotion")


@pytest.mark.parametrize(
    "place",
    [
        {"headers": {"X-Heads": "emotion"}},
        {"query": "heads=emotion"},
        {"path": "heads/emotion"},
        {"headers": {"x-heads": "emotion"}, "query": "heads=speaker"},
    ],
)
def test_they_are_an_option_like_any_other(place: dict[str, Any]) -> None:
    assert asked(**place).heads == ("emotion",)


def test_a_part_of_a_form_names_them_too() -> None:
    assert parse(Payload({"data": CLIP, "heads": b"emotion"}), HEADS).heads == ("emotion",)


def test_a_head_of_several_classifiers_stands_for_them() -> None:
    assert asked({"heads": ["intent"]}).heads == ("intent.action", "intent.object")
    assert asked({"heads": ["intent.object"]}).heads == ("intent.object",)


def test_an_unknown_head_is_named_with_what_there_is() -> None:
    assert refusal({"heads": ["speaker", "mood"]}) == (
        "unknown head 'mood'; known: speaker, emotion, intent.action, intent.object, intent; "
        "an embedding is output embedding"
    )
    assert refusal({"heads": "x"}, Settings()) == "unknown head 'x'; the model has one head, without a name"


@pytest.mark.parametrize("given", [[], 3, [1], {"a": 1}, True])
def test_what_is_no_list_of_names_is_refused(given: Any) -> None:
    assert "heads must be a list of names, or names separated by commas" in refusal({"heads": given})


def test_v2_answers_with_the_outputs_of_the_heads_or_with_those_that_are_named() -> None:
    everything = [f"{head}.{field}" for head in ALL for field in ("label", "score")]
    assert outputs() == everything
    assert outputs({"heads": "emotion"}) == ["emotion.label", "emotion.score"]
    named = [{"name": "intent.action.label"}, {"name": "embedding"}]
    assert outputs({"heads": "emotion"}, named) == ["intent.action.label", "embedding"]


def test_a_default_head_answers_what_names_no_heads_as_if_it_were_alone() -> None:
    assert asked(settings=DEFAULT).heads == ("",)
    assert outputs(settings=DEFAULT) == ["label", "score"]
    named = [{"name": "score"}, {"name": "speaker.score"}, {"name": "emotion.label"}]
    assert outputs(None, named, DEFAULT) == ["score", "speaker.score", "emotion.label"]


@pytest.mark.parametrize("settings", [HEADS, DEFAULT])
def test_heads_by_name_or_all_of_them_answer_under_their_names(settings: Settings) -> None:
    assert asked({"heads": ["emotion"]}, settings).heads == ("emotion",)
    assert outputs({"heads": "emotion"}, settings=settings) == ["emotion.label", "emotion.score"]
    assert asked({"heads": "all"}, settings).heads == ALL
    assert asked({"heads": ["speaker", "all"]}, settings).heads == ALL


def test_without_a_default_head_outputs_have_names_with_dots() -> None:
    with pytest.raises(InvalidParameter, match=r"output 'label' is unknown|label"):
        outputs(None, [{"name": "label"}])


@pytest.mark.parametrize(
    "place",
    [{"headers": {"X-Output": "embedding"}}, {"query": "output=embedding"}, {"path": "output/embedding"}],
)
def test_an_embedding_is_asked_for_as_any_option(place: dict[str, Any]) -> None:
    assert asked(**place).embeds
    assert not asked(**place, parameters={"output": "ranking"}).embeds


def test_an_embedding_is_one_more_output_of_v2() -> None:
    assert outputs({"output": "embedding"}) == ["embedding"]
    assert outputs({"output": "embedding"}, settings=Settings()) == ["embedding"]
    assert outputs(None, [{"name": "label"}, {"name": "embedding"}], Settings()) == ["label", "embedding"]


def test_a_model_has_one_embedding() -> None:
    both = {"output": "embedding", "heads": ["speaker"]}
    assert refusal(both) == "heads is of rankings: a model has one embedding, whatever its heads"
    with pytest.raises(InvalidParameter):
        outputs(both)


def test_another_output_is_refused() -> None:
    assert refusal({"output": "logits"}) == "output must be one of ranking, embedding, not 'logits'"
