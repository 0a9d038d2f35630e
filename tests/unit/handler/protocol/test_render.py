"""What an answer looks like in each form."""

from speaker_id.protocol import Model, Options, Request, render

MODEL = Model("sid", "1.0")
RANKINGS = [
    [{"label": "anna", "score": 0.75}, {"label": "ben", "score": 0.25}],
    [{"label": "ben", "score": 0.5}, {"label": "anna", "score": 0.5}],
]


def test_a_ranking_is_hugging_faces_schema() -> None:
    assert render(Request("ranking", (), Options()), RANKINGS[:1], MODEL) == RANKINGS[0]


def test_v1_answers_predictions() -> None:
    assert render(Request("v1", (), Options()), RANKINGS, MODEL) == {"predictions": RANKINGS}


def test_v2_answers_flat_tensors_and_echoes_the_id() -> None:
    assert render(Request("v2", (), Options(), "r7"), RANKINGS, MODEL) == {
        "model_name": "sid",
        "model_version": "1.0",
        "id": "r7",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2, 2], "data": ["anna", "ben", "ben", "anna"]},
            {"name": "score", "datatype": "FP32", "shape": [2, 2], "data": [0.75, 0.25, 0.5, 0.5]},
        ],
    }


def test_v2_answers_only_the_outputs_asked_for() -> None:
    answer = render(Request("v2", (), Options(), outputs=("score",)), RANKINGS, MODEL)
    assert [output["name"] for output in answer["outputs"]] == ["score"]
    assert "id" not in answer


HEADS = [
    {"action": [{"label": "on", "score": 0.75}], "object": [{"label": "lamp", "score": 0.5}]},
    {"action": [{"label": "off", "score": 0.25}], "object": [{"label": "none", "score": 1.0}]},
]


def test_several_heads_answer_rankings_by_head() -> None:
    assert render(Request("ranking", (), Options()), HEADS[:1], MODEL) == HEADS[0]
    assert render(Request("v1", (), Options()), HEADS, MODEL) == {"predictions": HEADS}


def test_several_heads_are_tensors_named_after_them_in_v2() -> None:
    request = Request("v2", (), Options(), outputs=("object.label", "action.score"))
    assert render(request, HEADS, MODEL)["outputs"] == [
        {"name": "object.label", "datatype": "BYTES", "shape": [2, 1], "data": ["lamp", "none"]},
        {"name": "action.score", "datatype": "FP32", "shape": [2, 1], "data": [0.75, 0.25]},
    ]
