"""Logits to ranked labels."""

import math

import pytest
import torch
from speaker_id.labels import rank

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
