"""A guard: a closed-set head's logits, or its embedding → "unknown" beside the labels."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from speaker_id.calibrated import UNKNOWN, Calibrated, Maker, Threshold
from speaker_id.confidence import METHODS, LabelMeans, confidence
from speaker_id.guard import Guard, Guarded, GuardManifest, guardable, maker
from speaker_id.manifest import CheckpointError, GuardCard, Method

MAKER = Maker(model="m", sha256="a" * 64, dim=2)
LABELS = ("anna", "ben", "cleo")
KNOWN = LabelMeans(
    torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0]]),
    torch.eye(2),
    torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]),
    torch.zeros(2),
    torch.eye(2),
)
ROW = torch.tensor([3.0, 1.0, 0.0])


def guard(slope: float = 2.0, threshold: float = 0.0, sounds: torch.Tensor | None = None) -> Guard:
    calibrated = Calibrated(
        slope=slope,
        neutral=0.5,
        thresholds=(
            Threshold(fpir=0.1, score=threshold, observed=True),
            Threshold(fpir=0.01, score=threshold + 1, observed=False),
        ),
    )
    manifest = GuardManifest(
        made=MAKER,
        labels=3,
        clips=30,
        strangers=40,
        people=5,
        calibrated="2026-01-01",
        methods=dict.fromkeys(METHODS, calibrated),
    )
    return Guard(manifest, KNOWN, torch.empty(0, 2) if sounds is None else sounds)


def guarded(method: Method = "mahalanobis", **more: float | torch.Tensor) -> Guarded:
    return Guarded(guard(**more), (*LABELS, UNKNOWN), method, 0.1)  # type: ignore[arg-type]


def at(distance: float) -> torch.Tensor:
    """An embedding so far from the mean of anna, whose score is −2 ln distance."""
    return torch.tensor([2.0 + distance, 0.0])


def logits(asked: Guarded, row: torch.Tensor, embedding: torch.Tensor, **options: float) -> torch.Tensor:
    """Of one clip."""
    return asked.logits(row[None], embedding[None], **options)[0]


def test_unknown_is_one_more_label_whose_logit_is_the_best_one_at_the_threshold() -> None:
    found = logits(guarded(), ROW, at(math.e))  # a score of −2, two below the threshold, times a slope of two
    assert found.tolist() == pytest.approx([3.0, 1.0, 0.0, 3.0 + 4.0], abs=1e-5)


@pytest.mark.parametrize("distance", [0.01, 0.99, 1.01, 5.0])
def test_the_labels_share_the_probability_of_being_known(distance: float) -> None:
    *labels, unknown = logits(guarded(), ROW, at(distance)).softmax(0).tolist()
    # the odds at the threshold are the best label's probability to one
    odds = math.exp(2 * -2 * math.log(distance)) / float(ROW.softmax(0)[0])
    assert unknown == pytest.approx(1 / (1 + odds), rel=1e-4)
    assert labels == pytest.approx(((1 - unknown) * ROW.softmax(0)).tolist(), rel=1e-4)
    assert (unknown > max(labels)) == (distance > 1)  # exactly where the threshold is not passed


@pytest.mark.parametrize(
    ("method", "score"),
    [("max_logit", 3.0), ("msp", 3.0 - math.log(math.e + 1)), ("cosine", 1.0), ("mahalanobis", 2.0)],
)
def test_every_method_decides_by_its_own_score(method: Method, score: float) -> None:
    embedding = at(1 / math.e)
    for threshold, best in ((score - 0.01, "anna"), (score + 0.01, UNKNOWN)):
        asked = guarded(method, threshold=threshold)
        assert asked.labels[int(logits(asked, ROW, embedding).argmax())] == best


def test_a_request_may_ask_for_another_rate_or_a_least_probability() -> None:
    asked, embedding = (
        guarded(),
        at(math.exp(-0.25)),
    )  # a score of 0.5: the neutral one, between both thresholds
    assert logits(asked, ROW, embedding).argmax() == 0
    assert logits(asked, ROW, embedding, fpir=0.01).argmax() == 3
    for least, best in ((0.49, 0), (0.51, 3), (0.0, 0), (1.0, 3)):
        found = logits(asked, ROW, embedding, min_score=least)
        assert found.isfinite().all()
        assert found.argmax() == best


def test_a_clip_nearer_to_a_sound_than_to_a_label_is_unknown() -> None:
    sounds = torch.tensor([[2.0, 0.5]])
    clip = torch.tensor([2.0, 0.3])  # passes the threshold, but the sound is nearer
    assert logits(guarded(), ROW, clip).argmax() == 0
    for method in ("mahalanobis", "relative", "cosine"):
        assert logits(guarded(method, threshold=0.0, sounds=sounds), ROW, clip).argmax() == 3
    # the logits alone do not tell sounds apart
    assert logits(guarded("energy", sounds=sounds), ROW, clip).argmax() == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_in_a_batch_has_the_logits_that_it_has_alone(method: Method) -> None:
    torch.manual_seed(0)
    width, rows, embeddings = 37, torch.randn(65, 3), torch.randn(65, 37)
    metric = torch.randn(width, width)
    wide = LabelMeans(
        torch.randn(3, width), metric @ metric.T, torch.randn(3, width), torch.randn(width), metric.T @ metric
    )
    asked = replace(guarded(method), guard=replace(guard(sounds=torch.randn(9, width)), known=wide))
    alone = [logits(asked, row, embedding) for row, embedding in zip(rows, embeddings, strict=True)]
    assert torch.equal(asked.logits(rows, embeddings), torch.stack(alone))


def test_logits_of_any_size_keep_a_probability() -> None:
    found = logits(guarded("energy"), ROW * 40_000, at(1.0))
    assert found.softmax(0).tolist() == pytest.approx([1, 0, 0, 0])
    unsure = logits(guarded("energy", threshold=1e9), ROW * 40_000, at(1.0))
    assert unsure.softmax(0).tolist() == pytest.approx([0, 0, 0, 1])


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    made = guard(sounds=torch.tensor([[5.0, 5.0]]))
    made.write(tmp_path / "g.safetensors")
    found = Guard.read(tmp_path / "g.safetensors")
    assert found.manifest == made.manifest
    for name, tensor in made.tensors().items():
        assert torch.equal(found.tensors()[name], tensor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known": replace(KNOWN, means=torch.eye(2))}, r"holds means of \(2, 2\), not \(3, 2\)"),
        ({"known": replace(KNOWN, precision=torch.eye(3))}, "holds precision of"),
        ({"known": replace(KNOWN, directions=KNOWN.directions.double())}, "holds directions of"),
        ({"known": replace(KNOWN, centre=torch.zeros(3))}, r"holds centre of \(3,\), not \(2,\)"),
        ({"known": replace(KNOWN, precision=torch.full((2, 2), math.nan))}, "not finite: damaged"),
        ({"sounds": torch.tensor(1.0)}, r"holds sounds of \(\), not \(0, 2\)"),
        ({"sounds": torch.ones(1, 3)}, r"holds sounds of \(1, 3\), not \(1, 2\)"),
    ],
)
def test_tensors_that_are_not_the_manifests_are_refused(
    tmp_path: Path, change: dict[str, LabelMeans], message: str
) -> None:
    replace(guard(), **change).write(tmp_path / "g.safetensors")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=message):
        Guard.read(tmp_path / "g.safetensors")


def test_a_file_that_is_no_guard_is_refused(tmp_path: Path) -> None:
    save_file({"means": torch.eye(3)}, tmp_path / "w.safetensors")
    (tmp_path / "text.safetensors").write_text("no")
    later = GuardManifest.model_validate({**guard().manifest.model_dump(), "form": 3})
    replace(guard(), manifest=later).write(tmp_path / "later.safetensors")
    for name, message in (
        ("w", "no guard"),
        ("text", "no guard"),
        ("absent", "no guard"),
        ("later", "form 3"),
    ):
        with pytest.raises(CheckpointError, match=rf"{message}.*run `make guard` again"):
            Guard.read(tmp_path / f"{name}.safetensors")


def test_a_guard_of_another_head_is_refused(tmp_path: Path) -> None:
    guard().write(tmp_path / "g.safetensors")
    card = GuardCard(file="g.safetensors", method="cosine", fpir=0.02)
    found = Guarded.load(tmp_path / "g.safetensors", card, MAKER, LABELS)
    assert (found.labels, found.method, found.fpir) == ((*LABELS, UNKNOWN), "cosine", 0.02)
    other = Maker(model="n", sha256="b" * 64, dim=2)
    with pytest.raises(CheckpointError, match="not for this head"):
        Guarded.load(tmp_path / "g.safetensors", card, other, LABELS)
    with pytest.raises(CheckpointError, match="is of 3 labels, the head has 2"):
        Guarded.load(tmp_path / "g.safetensors", card, MAKER, LABELS[:2])


def test_a_heads_identity_is_of_all_of_its_weights() -> None:
    tensors = {
        "a": torch.ones(2),
        "classifier.weight": torch.ones(1),
        "wav2vec2.masked_spec_embed": torch.ones(1),
    }

    def identity(**changed: torch.Tensor) -> str:
        now = {**tensors, **{name.replace("__", "."): each for name, each in changed.items()}}
        model = SimpleNamespace(state_dict=lambda: now, classifier=SimpleNamespace(in_features=2))
        manifest = SimpleNamespace(name="m", revision=None, heads={"mood": None, "speaker": None})
        loaded: Any = SimpleNamespace(model=None, others=(model,), manifest=manifest)
        return maker(loaded, "speaker").sha256

    assert identity(wav2vec2__masked_spec_embed=torch.zeros(1)) == identity()
    assert identity(classifier__weight=torch.zeros(1)) != identity()
    assert identity(a=torch.zeros(2)) != identity()


@pytest.mark.parametrize(
    ("classifiers", "function", "head", "message"),
    [
        (
            {"a.x": ("1", "2"), "a.y": ("1", "2")},
            "softmax",
            "a",
            r"head a has several classifiers \(a.x, a.y\)",
        ),
        ({"x": ("1", "2"), "y": ("1", "2")}, "softmax", "", r"the model has several classifiers \(x, y\)"),
        ({"x": ("1", "2")}, "softmax", "voice", "head voice has no labels"),
        ({"": ("1", "2")}, "sigmoid", "", "the model has sigmoid scores"),
        ({"": ("1", UNKNOWN)}, "softmax", "", "has a label 'unknown' of its own"),
        ({"": ("1",)}, "softmax", "", "has one label"),
    ],
)
def test_heads_that_cannot_have_a_guard_are_refused(
    classifiers: dict[str, tuple[str, ...]], function: str, head: str, message: str
) -> None:
    loaded: Any = SimpleNamespace(by_head=lambda: classifiers, function_of=lambda _: function)
    loaded: Any = SimpleNamespace(by_head=lambda: classifiers, function_of=lambda _: function)
    with pytest.raises(CheckpointError, match=message):
        guardable(loaded, head)


@pytest.mark.parametrize("sounds", [torch.empty(0, 2), torch.tensor([[0.0, -2.0], [1.0, 1.0]])])
@pytest.mark.parametrize("method", METHODS)
def test_one_pass_gives_the_scores_that_calibration_took_separately(
    method: Method, sounds: torch.Tensor
) -> None:
    asked, logits, it = (
        torch.tensor([[1.5, 0.25], [-1.0, -1.0]]),
        torch.stack([ROW, -ROW]),
        guard(sounds=sounds),
    )
    score, like = (torch.as_tensor(each).float() for each in it.scores(method, logits, asked))
    assert torch.allclose(score, confidence(method, logits, asked, it.known))
    assert torch.allclose(like, it.soundlike(method, asked))
    assert score.shape == like.shape == (2,)
