"""What an answer looks like in each form."""

import json
import math
import struct

import pytest
from speaker_id.errors import NonFiniteAudio, RequestTooLarge
from speaker_id.protocol import Model, Options, Output, Request, dump, render

MODEL = Model("sid", "1.0")
RANKINGS = [
    [{"label": "anna", "score": 0.75}, {"label": "ben", "score": 0.25}],
    [{"label": "ben", "score": 0.5}, {"label": "anna", "score": 0.5}],
]


def test_a_ranking_is_hugging_faces_schema() -> None:
    assert render(Request("ranking", (), Options()), RANKINGS[:1], MODEL).value == RANKINGS[0]


def test_v1_answers_predictions() -> None:
    assert render(Request("v1", (), Options()), RANKINGS, MODEL).value == {"predictions": RANKINGS}


def test_v2_answers_flat_tensors_and_echoes_the_id() -> None:
    assert render(Request("v2", (), Options(), "r7"), RANKINGS, MODEL).value == {
        "model_name": "sid",
        "model_version": "1.0",
        "id": "r7",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2, 2], "data": ["anna", "ben", "ben", "anna"]},
            {"name": "score", "datatype": "FP32", "shape": [2, 2], "data": [0.75, 0.25, 0.5, 0.5]},
        ],
    }


def test_v2_answers_only_the_outputs_asked_for() -> None:
    answer = render(Request("v2", (), Options(), outputs=(Output("score"),)), RANKINGS, MODEL).value
    assert [output["name"] for output in answer["outputs"]] == ["score"]
    assert "id" not in answer


HEADS = [
    {"action": [{"label": "on", "score": 0.75}], "object": [{"label": "lamp", "score": 0.5}]},
    {"action": [{"label": "off", "score": 0.25}], "object": [{"label": "none", "score": 1.0}]},
]


def test_several_heads_answer_rankings_by_head() -> None:
    assert render(Request("ranking", (), Options()), HEADS[:1], MODEL).value == HEADS[0]
    assert render(Request("v1", (), Options()), HEADS, MODEL).value == {"predictions": HEADS}


def test_several_heads_are_tensors_named_after_them_in_v2() -> None:
    request = Request("v2", (), Options(), outputs=(Output("object.label"), Output("action.score")))
    assert render(request, HEADS, MODEL).value["outputs"] == [
        {"name": "object.label", "datatype": "BYTES", "shape": [2, 1], "data": ["lamp", "none"]},
        {"name": "action.score", "datatype": "FP32", "shape": [2, 1], "data": [0.75, 0.25]},
    ]


def test_binary_tensors_follow_the_json() -> None:
    outputs = (Output("label", binary=True), Output("score", binary=True))
    answer = render(Request("v2", (), Options(), outputs=outputs), RANKINGS, MODEL)
    content, json_bytes = dump(answer, 1000)
    assert json.loads(content[:json_bytes])["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [2, 2], "parameters": {"binary_data_size": 30}},
        {"name": "score", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": 16}},
    ]
    texts = b"\4\0\0\0anna" + b"\3\0\0\0ben" * 2 + b"\4\0\0\0anna"
    assert content[json_bytes:] == texts + struct.pack("<4f", 0.75, 0.25, 0.5, 0.5)


def test_one_output_may_be_binary_and_the_other_json() -> None:
    outputs = (Output("label"), Output("score", binary=True))
    content, json_bytes = dump(render(Request("v2", (), Options(), outputs=outputs), RANKINGS, MODEL), 1000)
    label, score = json.loads(content[:json_bytes])["outputs"]
    assert label["data"] == ["anna", "ben", "ben", "anna"]
    assert "data" not in score
    assert content[json_bytes:] == struct.pack("<4f", 0.75, 0.25, 0.5, 0.5)


def test_json_alone_has_no_length_of_its_own() -> None:
    assert dump(render(Request("v2", (), Options()), RANKINGS, MODEL), 1000)[1] is None


def test_a_binary_label_is_utf_8() -> None:
    outputs = (Output("label", binary=True),)
    answer = render(Request("v2", (), Options(), outputs=outputs), [[{"label": "Zoë", "score": 1.0}]], MODEL)
    assert answer.tensors == b"\4\0\0\0" + "Zoë".encode()


@pytest.mark.parametrize("score", [math.nan, math.inf])
@pytest.mark.parametrize("binary", [False, True])
def test_a_score_that_is_no_number_is_refused_in_either_form(binary: bool, score: float) -> None:
    request = Request("v2", (), Options(), outputs=(Output("score", binary),))
    with pytest.raises(NonFiniteAudio):
        dump(render(request, [[{"label": "x", "score": score}]], MODEL), 1000)


def test_binary_tensors_count_towards_the_largest_answer() -> None:
    outputs = (Output("label", binary=True),)
    answer = render(Request("v2", (), Options(), outputs=outputs), RANKINGS, MODEL)
    size = len(dump(answer, 1000)[0])
    dump(answer, size)
    with pytest.raises(RequestTooLarge):
        dump(answer, size - 1)


CLASSES = {"score": [[(0.75, 4, "anna"), (0.1, 0, "a:b")], [(0.5, 1, "ben"), (1e-12, 4, "anna")]]}


def test_classes_are_texts_of_score_index_and_label() -> None:
    request = Request("v2", (), Options(), outputs=(Output("score", classes=2), Output("label")))
    classes, label = render(request, RANKINGS, MODEL, CLASSES).value["outputs"]
    assert classes == {
        "name": "score",
        "datatype": "BYTES",
        "shape": [2, 2],
        "data": ["0.75:4:anna", "0.1:0:a:b", "0.5:1:ben", "1e-12:4:anna"],
    }
    assert label["data"] == ["anna", "ben", "ben", "anna"]


def test_classes_may_be_binary() -> None:
    request = Request("v2", (), Options(), outputs=(Output("score", binary=True, classes=2),))
    answer = render(request, RANKINGS, MODEL, CLASSES)
    assert answer.value["outputs"][0]["parameters"] == {"binary_data_size": len(answer.tensors or b"")}
    assert (answer.tensors or b"").startswith(b"\13\0\0\0" + b"0.75:4:anna")


def test_nine_digits_hold_a_float32() -> None:
    score = struct.unpack("<f", b"\x6d\x92\x7d\x3f")[0]
    request = Request("v2", (), Options(), outputs=(Output("score", classes=1),))
    (text,) = render(request, RANKINGS, MODEL, {"score": [[(score, 0, "x")]]}).value["outputs"][0]["data"]
    assert struct.pack("<f", float(text.split(":")[0])) == struct.pack("<f", score)


def test_a_class_whose_score_is_no_number_is_refused() -> None:
    request = Request("v2", (), Options(), outputs=(Output("score", classes=1),))
    with pytest.raises(NonFiniteAudio):
        render(request, RANKINGS, MODEL, {"score": [[(math.nan, 0, "x")]]})
