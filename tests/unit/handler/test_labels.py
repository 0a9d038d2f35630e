"""Logits to ranked labels."""

import math

import pytest
import torch
from speaker_id.labels import Labels, answer, classified, parts, rank
from speaker_id.protocol import Output

LABELS = ("anna", "ben", "cleo")


def test_softmax_of_known_logits() -> None:
    # softmax(ln 1, ln 2, ln 5) = 1/8, 2/8, 5/8
    ranking = rank(torch.tensor([0.0, math.log(2), math.log(5)]), LABELS, 2, "softmax")
    assert [entry["label"] for entry in ranking] == ["cleo", "ben"]
    assert [entry["score"] for entry in ranking] == pytest.approx([0.625, 0.25])


def test_sigmoid_of_known_logits() -> None:
    ranking = rank(torch.tensor([0.0, math.log(3), -math.log(3)]), LABELS, 3, "sigmoid")
    assert [entry["score"] for entry in ranking] == pytest.approx([0.75, 0.5, 0.25])


def test_none_gives_the_logits() -> None:
    assert rank(torch.tensor([-1.0, 7.5, 2.0]), LABELS, 1, "none") == [{"label": "ben", "score": 7.5}]


def test_more_than_there_are_means_all() -> None:
    assert len(rank(torch.zeros(3), LABELS, 99, "softmax")) == 3


def test_logits_past_half_precision_keep_their_order() -> None:
    # hubert-base-superb-sid's logits reach 123,000; fp16 ends at 65,504
    ranking = rank(torch.tensor([123_000.0, 122_998.0, 78_000.0]), LABELS, 3, "softmax")
    assert [entry["label"] for entry in ranking] == ["anna", "ben", "cleo"]
    assert ranking[0]["score"] == pytest.approx(1 / (1 + math.exp(-2)))


def test_the_heads_of_intent_classification_are_where_superb_has_them() -> None:
    heads = {"action": 6, "object": 14, "location": 4}
    assert dict(parts(heads)) == {"action": slice(0, 6), "object": slice(6, 20), "location": slice(20, 24)}


def test_each_head_is_a_classifier_of_its_own() -> None:
    logits = torch.tensor([0.0, math.log(3), math.log(9), 0.0, 0.0])
    labels = Labels(("on", "off", "lamp", "none", "none"), {"action": 2, "object": 3})
    found = answer(logits, labels, 2, "softmax")
    assert found == {
        "action": [
            {"label": "off", "score": pytest.approx(0.75)},
            {"label": "on", "score": pytest.approx(0.25)},
        ],
        "object": [
            {"label": "lamp", "score": pytest.approx(9 / 11)},
            {"label": "none", "score": pytest.approx(1 / 11)},
        ],
    }


def test_without_heads_the_answer_is_the_ranking() -> None:
    logits = torch.tensor([1.0, 2.0, 3.0])
    assert answer(logits, Labels(LABELS), 3, "none") == rank(logits, LABELS, 3, "none")


def test_classes_have_the_index_of_their_label() -> None:
    output = Output("score", classes=2)
    assert classified(torch.tensor([1.0, 3.0, 2.0]), Labels(LABELS), output, "none") == [
        (3.0, 1, "ben"),
        (2.0, 2, "cleo"),
    ]


def test_classes_of_a_head_are_counted_within_it() -> None:
    output = Output("object.score", classes=9)
    labels = Labels(("on", "off", "lamp", "none", "heat"), {"action": 2, "object": 3})
    assert classified(torch.tensor([9.0, 8.0, 1.0, 3.0, 2.0]), labels, output, "none") == [
        (3.0, 1, "none"),
        (2.0, 2, "heat"),
        (1.0, 0, "lamp"),
    ]
