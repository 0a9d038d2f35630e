"""A gallery: an embedding → probabilities of the enrolled voices and of "unknown"."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from speaker_id.calibrated import UNKNOWN, Maker, Threshold
from speaker_id.gallery import Gallery, fingerprint
from speaker_id.gallery_manifest import GalleryManifest, Voice, parse, read_manifest
from speaker_id.manifest import CheckpointError

NOTHING = torch.empty(1, 0)  # logits of a model
MAKER = Maker(model="m", sha256="a" * 64, dim=3)


def gallery(slope: float = 10.0) -> Gallery:
    """Anna has two vectors, Ben one."""
    voices = tuple(
        Voice(label=label, clips=3, seconds=10, enrolled="2026-01-01") for label in ("anna", "ben")
    )
    thresholds = (
        Threshold(fpir=0.1, score=0.4, observed=True),
        Threshold(fpir=0.01, score=0.6, observed=False),
    )
    manifest = GalleryManifest(
        made=MAKER, voices=voices, fpir=0.1, slope=slope, neutral=0.5, thresholds=thresholds
    )
    vectors = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    return Gallery(manifest, vectors, torch.tensor([0, 0, 1]), torch.tensor([[0.0, -1.0, 0.0]]))


def test_a_voice_scores_by_the_nearest_of_its_vectors() -> None:
    found = gallery().scores(torch.tensor([3.0, 4.0, 0.0]))  # of any length
    assert found.tolist() == pytest.approx([0.8, 0.0])


def test_unknown_is_a_voice_whose_score_is_the_threshold() -> None:
    logits = gallery().logits(NOTHING, torch.tensor([[3.0, 4.0, 0.0]]))
    assert logits[0].tolist() == pytest.approx([8.0, 0.0, 4.0])
    assert gallery().labels == ("anna", "ben", UNKNOWN)


@pytest.mark.parametrize(("cosine", "best"), [(0.41, "anna"), (0.39, UNKNOWN)])
def test_unknown_ranks_first_exactly_where_no_voice_passes(cosine: float, best: str) -> None:
    embedding = torch.tensor([[cosine, 0.0, -math.sqrt(1 - cosine**2)]])
    assert gallery().labels[int(gallery().logits(NOTHING, embedding).argmax())] == best


def test_a_sound_without_a_voice_is_unknown_however_near_to_a_voice() -> None:
    humming = torch.tensor([[0.6, -0.8, 0.0]])  # passes the threshold as anna
    assert gallery().logits(NOTHING, humming)[0].tolist() == pytest.approx([6.0, 0.0, 8.0])
    silent = replace(gallery(), sounds=torch.empty(0, 3))
    assert silent.logits(NOTHING, humming)[0].tolist() == pytest.approx([6.0, 0.0, 4.0])


def test_a_sound_that_is_not_the_nearest_changes_no_probability() -> None:
    spoken = torch.tensor([[0.8, -0.6, 0.0]])  # above the threshold, and so is the sound
    assert gallery().logits(NOTHING, spoken)[0].tolist() == pytest.approx([8.0, 0.0, 4.0])


def test_a_clip_in_a_batch_has_the_logits_that_it_has_alone() -> None:
    spoken, humming = torch.tensor([[0.8, -0.6, 0.0]]), torch.tensor([[0.6, -0.8, 0.0]])
    together = gallery().logits(NOTHING, torch.cat([spoken, humming]))
    assert torch.equal(together[:1], gallery().logits(NOTHING, spoken))
    assert torch.equal(together[1:], gallery().logits(NOTHING, humming))


def test_a_request_may_ask_for_another_rate() -> None:
    assert gallery().threshold() == 0.4
    assert gallery().threshold(fpir=0.01) == pytest.approx(0.6)
    between = gallery().threshold(fpir=0.03)
    assert 0.4 < between < 0.6
    assert gallery().threshold(fpir=0.5) == 0.4  # no rate beyond the known ones is promised


def test_a_request_may_ask_for_a_least_probability() -> None:
    assert gallery().threshold(min_score=0.5) == 0.5  # the neutral one
    assert gallery().threshold(min_score=0.9) == pytest.approx(0.5 + math.log(9) / 10)
    assert gallery().threshold(min_score=1.0) == 1.0
    assert gallery().threshold(min_score=0.0) == -1.0


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    gallery().write(tmp_path / "g.safetensors")
    found = Gallery.read(tmp_path / "g.safetensors")
    assert found.manifest == gallery().manifest
    assert torch.equal(found.vectors, gallery().vectors)
    assert torch.equal(found.owners, gallery().owners)
    assert torch.equal(found.sounds, gallery().sounds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": torch.ones(3, 3)}, "unit length"),
        ({"vectors": torch.full((3, 3), math.nan)}, "unit length"),
        ({"vectors": torch.eye(4)}, "holds vectors of"),
        ({"owners": torch.tensor([0, 0, 0])}, "each of its 2 voices"),
        ({"sounds": torch.eye(4)}, "holds sounds of"),
        ({"sounds": torch.ones(1, 3)}, "unit length"),
        ({"owners": torch.tensor([0, 1])}, "each of its 2 voices"),
        (
            {"owners": torch.tensor([0.0, 0.0, 1.0])},
            "each of its 2 voices",
        ),  # no index: every request would fail
        ({"owners": torch.tensor([[0, 0, 1]])}, "each of its 2 voices"),
        ({"owners": torch.tensor(1)}, "each of its 2 voices"),
    ],
)
def test_tensors_that_are_not_the_manifests_are_refused(
    tmp_path: Path, change: dict[str, torch.Tensor], message: str
) -> None:
    replace(gallery(), **change).write(tmp_path / "g.safetensors")
    with pytest.raises(CheckpointError, match=message):
        Gallery.read(tmp_path / "g.safetensors")


def test_a_file_that_is_no_gallery_is_refused(tmp_path: Path) -> None:
    save_file({"vectors": torch.eye(3)}, tmp_path / "w.safetensors")
    (tmp_path / "text.safetensors").write_text("no")
    for name in ("w", "text", "absent"):
        with pytest.raises(CheckpointError, match="no gallery"):
            Gallery.read(tmp_path / f"{name}.safetensors")


def test_a_threshold_that_is_no_cosine_is_refused() -> None:
    thresholds = [
        {"fpir": 0.1, "score": 0.4, "observed": True},
        {"fpir": 0.01, "score": 1.2, "observed": True},
    ]
    content = {**gallery().manifest.model_dump(), "thresholds": thresholds}
    with pytest.raises(ValidationError, match=r"a threshold of 1\.2 is no cosine"):
        GalleryManifest.model_validate(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": math.inf}, "less than or equal to"),  # every answer would be 422
        ({"slope": 1e39}, "less than or equal to"),  # as fp32 is
        ({"neutral": math.nan}, "finite"),  # any min_score would name everybody
        (
            {"thresholds": [{"fpir": rate, "score": 0.5, "observed": True} for rate in (0.01, 0.1)]},
            "0.01, 0.1",
        ),
        (
            {"thresholds": [{"fpir": rate, "score": 0.5, "observed": True} for rate in (0.1, 0.1)]},
            "do not fall",
        ),
    ],
)
def test_a_calibration_that_gives_no_answer_or_a_wrong_one_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    text = json.dumps({**gallery().manifest.model_dump(), **change})
    save_file({"vectors": torch.eye(3)}, tmp_path / "g.safetensors", {"gallery": text})
    with pytest.raises(CheckpointError, match=message):
        read_manifest(tmp_path / "g.safetensors")


@pytest.mark.parametrize("label", ["", "a\nb", "a\x85b", "a\u2028b", "\ud800", "unknown"])
def test_labels_that_are_no_line_of_text_are_refused(tmp_path: Path, label: str) -> None:
    content = gallery().manifest.model_dump(mode="json")
    content["voices"][0]["label"] = label
    save_file({"vectors": torch.eye(3)}, tmp_path / "g.safetensors", {"gallery": json.dumps(content)})
    with pytest.raises(CheckpointError, match="no gallery"):
        read_manifest(tmp_path / "g.safetensors")


def test_a_header_that_is_nested_too_deep_is_refused() -> None:
    text = b"[" * 100_000
    with pytest.raises(CheckpointError, match="no gallery"):
        parse(io.BytesIO(len(text).to_bytes(8, "little") + text), "g.safetensors")


def test_a_gallery_of_another_model_is_refused() -> None:
    gallery().check(MAKER)
    with pytest.raises(CheckpointError, match="run `make enrol MODEL=n`"):
        gallery().check(Maker(model="n", sha256="b" * 64, dim=3))


def test_the_fingerprint_is_of_what_the_embedding_depends_on() -> None:
    tensors = {"a": torch.ones(2), "classifier.weight": torch.ones(1)}
    same = fingerprint(tensors)
    assert fingerprint({**tensors, "classifier.weight": torch.zeros(1)}) == same
    assert fingerprint({**tensors, "wav2vec2.masked_spec_embed": torch.zeros(1)}) == same
    assert fingerprint({**tensors, "a": torch.tensor([1.0, 1.0000001])}) != same
    assert fingerprint({**tensors, "a": torch.ones(2, 1)}) != same
