"""What a closed-set head's "unknown" is decided by: each method, by hand."""

import math

import pytest
import torch
from speaker_id.confidence import METHODS, LabelMeans, confidence, precision

LOGITS = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
EMBEDDINGS = torch.tensor([[3.0, 4.0], [0.0, 2.0]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("msp", [2.0, 0.0]),
        ("max_logit", [2.0, 1.0]),
        ("energy", [math.log(math.exp(2) + 1), math.log(2 * math.e)]),
    ],
)
def test_methods_on_logits(method: str, expected: list[float]) -> None:
    assert confidence(method, LOGITS, EMBEDDINGS).tolist() == pytest.approx(expected)


def test_methods_on_embeddings_compare_with_the_nearest_label() -> None:
    known = LabelMeans(
        torch.tensor([[3.0, 3.0], [0.0, 0.0]]),
        torch.diag(torch.tensor([1.0, 0.5])),
        torch.eye(2),
        torch.tensor([0.0, 4.0]),
        torch.eye(2),
    )
    assert confidence("cosine", LOGITS, EMBEDDINGS, known).tolist() == pytest.approx([0.8, 1.0])
    # (0, 1) from the first mean: ½; (0, 2) from the second: 2
    assert confidence("mahalanobis", LOGITS, EMBEDDINGS, known).tolist() == pytest.approx(
        [-math.log(0.5), -math.log(2)]
    )
    # and (3, 0), (0, -2) from where strangers are: 9 and 4
    assert confidence("relative", LOGITS, EMBEDDINGS, known).tolist() == pytest.approx(
        [math.log(9 / 0.5), math.log(4 / 2)]
    )


def test_the_largest_probability_does_not_round_to_one() -> None:
    logits = torch.tensor([[1000.0, 0.0], [2000.0, 0.0]])
    assert confidence("msp", logits, EMBEDDINGS).tolist() == [1000.0, 2000.0]


def test_a_clip_at_a_mean_has_a_finite_score() -> None:
    known = LabelMeans(EMBEDDINGS, torch.eye(2), EMBEDDINGS, EMBEDDINGS[0], torch.eye(2))
    for method in ("mahalanobis", "relative"):
        assert confidence(method, LOGITS, EMBEDDINGS, known).isfinite().all()


def test_means_are_of_each_label_and_the_covariance_of_all() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0], [0.0, 7.0]])
    strangers = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]) + 7
    known = LabelMeans.fit(embeddings, torch.tensor([0, 0, 1, 1]), strangers)
    assert known.centre.tolist() == [7, 7]
    assert known.spread.flatten().tolist() == pytest.approx([1, 0, 0, 1])
    assert known.means.tolist() == [[2.0, 0.0], [0.0, 6.0]]
    assert known.directions.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    # within labels each axis varies by 1 twice, in 2 degrees of freedom; shrinking changes nothing
    assert known.precision.flatten().tolist() == pytest.approx([1, 0, 0, 1])


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_far_from_every_label_is_less_sure_than_a_member(method: str) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = 5 * torch.eye(3, 8)
    labels = torch.arange(3).repeat(20)
    members = weights[labels] + torch.randn(60, 8, generator=generator)
    strangers = 5 * torch.eye(8)[3:].repeat(4, 1) + torch.randn(20, 8, generator=generator)
    known = LabelMeans.fit(members, labels, strangers)
    inside, outside = (confidence(method, each @ weights.T, each, known) for each in (members, strangers))
    assert inside.median() > outside.median()


def test_a_covariance_of_few_clips_is_shrunk_and_of_many_hardly() -> None:
    """A singular one can be inverted, and the mean variance stays."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    for clips, off in ((3, 0.5), (2000, 0.02)):
        rows = scale * torch.randn(clips, 4, generator=generator, dtype=torch.float64)
        found = torch.linalg.inv(precision(rows, clips))
        true = rows.T @ rows / clips
        assert found.trace() == pytest.approx(true.trace())
        shrunk = 1 - (found[0, 1] / true[0, 1]).item()
        assert (shrunk > off) if clips == 3 else (0 < shrunk < off)
    assert precision(torch.zeros(2, 4) + torch.eye(4)[:2], 2).isfinite().all()
