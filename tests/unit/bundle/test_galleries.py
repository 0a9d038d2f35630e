"""A gallery in an archive: one more head, of this model or refused, and what is answered from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speaker_id.clip import Waveform
from speaker_id.gallery_manifest import GALLERY_FILE
from speaker_id.manifest import CheckpointError, FileRecord, Manifest
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model
from speaker_id.settings import Settings

from bundle import BundleError, archive, archived, galleries, layout, repository
from bundle.sources import read_spec, resolve, with_gallery
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.galleries import tone, write_gallery
from tests.doubles.served import ask, served

# a model that is not trained tells tones and silence apart better than noise
VOICES = {"zoe": tone(200), "yann": tone(3_000)}
STRANGER = np.zeros(16_000, np.float32)
MODELS = ("single", "several", "vectors")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, an x-vector, and both on one backbone, each with a gallery of its own."""
    root = tmp_path_factory.mktemp("galleries")
    write_checkpoint(root / "single")
    write_checkpoint(root / "vectors", seed=3, xvector=True)
    for name in ("single", "vectors"):
        (root / name / "model.yaml").write_text("source: .\ngallery: ../of-" + name + "\n")
    (root / "several").mkdir()
    heads = {"speaker": "../single", "voice": "../vectors"}
    written = {"heads": heads, "gallery": {"file": "../of-several/gallery.safetensors", "head": "staff"}}
    (root / "several" / "model.yaml").write_text(json.dumps(written))
    for name in MODELS:
        (root / f"of-{name}").mkdir()
        (root / f"of-{name}" / GALLERY_FILE).touch()
        checkpoint = archive.prepare(resolve(str(root / name)), root / "checkpoints")
        write_gallery(root / f"of-{name}", checkpoint, VOICES, [STRANGER])
    return root


def build(root: Path, name: str, gallery: str = "") -> Path:
    spec = with_gallery(resolve(str(root / name)), gallery)
    return archive.build(spec, root / "store", checkpoints=root / "checkpoints")


def answer(asked: Pipeline, samples: Waveform, **parameters: Any) -> Any:
    return ask(asked, samples, **parameters)[0]


def best(ranking: list[dict[str, Any]]) -> str:
    assert sum(each["score"] for each in ranking) == pytest.approx(1)
    return str(ranking[0]["label"])


def test_a_model_of_x_vectors_alone_answers_who_of_the_voices_it_is(root: Path, tmp_path: Path) -> None:
    asked = served(build(root, "vectors"), tmp_path)
    for name, samples in VOICES.items():
        found = answer(asked, samples)
        assert best(found) == name
        assert {each["label"] for each in found} == {*VOICES, "unknown"}
    assert best(answer(asked, STRANGER)) == "unknown"
    assert best(answer(asked, STRANGER, fpir=0.5)) in VOICES
    assert best(answer(asked, STRANGER, min_score=0)) in VOICES


def test_beside_a_classifier_it_is_one_more_head_and_whoever_names_none_is_answered_as_before(
    root: Path, tmp_path: Path
) -> None:
    asked = served(build(root, "single"), tmp_path)
    assert {each["label"] for each in answer(asked, VOICES["zoe"])} == {"anna", "bernd", "chloe"}
    found = answer(asked, VOICES["zoe"], heads="all")
    assert list(found) == [layout.CLASSIFIER, "enrolled"]
    assert {each["label"] for each in found["classifier"]} == {"anna", "bernd", "chloe"}
    assert best(found["enrolled"]) == "zoe"
    assert list(answer(asked, STRANGER, heads="enrolled")) == ["enrolled"]
    assert best(answer(asked, STRANGER, heads="enrolled")["enrolled"]) == "unknown"


def test_beside_several_heads_it_has_the_name_that_model_yaml_gives_it(root: Path, tmp_path: Path) -> None:
    asked = served(build(root, "several"), tmp_path)
    found = answer(asked, VOICES["yann"])
    assert list(found) == ["speaker", "staff"]
    assert best(found["staff"]) == "yann"
    manifest = Manifest.read(tmp_path / "checkpoint")
    assert manifest.gallery is not None
    assert (manifest.gallery.head, manifest.gallery.voices) == ("staff", 2)
    assert manifest.files[GALLERY_FILE] == FileRecord.of(root / "of-several" / GALLERY_FILE)


def test_triton_has_its_outputs_and_its_labels(root: Path, tmp_path: Path) -> None:
    repository.write(build(root, "several"), tmp_path)
    text = (tmp_path / "several" / "config.pbtxt").read_text()
    assert (
        'name: "staff.scores", data_type: TYPE_FP32, dims: [-1], label_filename: "labels-staff.txt"' in text
    )
    assert (tmp_path / "several" / "labels-staff.txt").read_text() == "zoe\nyann\nunknown\n"
    assert (tmp_path / "several" / "labels-speaker.txt").read_text() == "anna\nbernd\nchloe\n"
    repository.write(build(root, "vectors"), tmp_path)
    assert (tmp_path / "vectors" / "labels.txt").read_text() == "zoe\nyann\nunknown\n"


def test_an_archive_says_which_heads_are_open(root: Path) -> None:
    spec = archived.read(build(root, "single"))
    assert spec.speaker_id.heads == {"classifier": 3, "enrolled": 3}
    assert spec.speaker_id.default_head == "classifier"
    assert spec.speaker_id.open_sets == {"enrolled": "gallery"}
    assert archived.read(build(root, "vectors")).speaker_id.open_sets == {"": "gallery"}


def test_an_archive_says_what_its_answers_may_be(root: Path) -> None:
    voices, speakers = ("zoe", "yann", "unknown"), ("anna", "bernd", "chloe")
    assert archived.labels(build(root, "single")) == {"classifier": speakers, "enrolled": voices}
    assert archived.labels(build(root, "several")) == {"speaker": speakers, "staff": voices}
    assert archived.labels(build(root, "vectors")) == {"": voices}


def test_another_gallery_makes_another_archive_and_the_same_one_does_not(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = archive.prepare(resolve(str(root / "vectors")), root / "checkpoints")
    other = write_gallery(tmp_path, checkpoint, {"zoe": VOICES["zoe"]}, [STRANGER, VOICES["yann"]])
    first = FileRecord.of(build(root, "vectors"))
    assert FileRecord.of(build(root, "vectors", str(other.parent))) != first
    assert FileRecord.of(build(root, "vectors")) == first
    monkeypatch.setattr(galleries, "check", pytest.fail)  # an unchanged archive loads no model
    build(root, "vectors")


def test_a_gallery_of_another_model_is_refused_when_the_archive_is_built(root: Path) -> None:
    with pytest.raises(
        BundleError, match=r"single: gallery.safetensors: the gallery was enrolled with vectors \("
    ):
        build(root, "single", str(root / "of-vectors"))


def test_and_when_it_is_loaded(root: Path, tmp_path: Path) -> None:
    """Whoever packs an archive by hand, with hashes that are right."""
    served(build(root, "single"), tmp_path)
    folder, foreign = tmp_path / "checkpoint", root / "of-vectors" / GALLERY_FILE
    shutil.copyfile(foreign, folder / GALLERY_FILE)
    settings = Settings(heads={"classifier": 3, "enrolled": 3}, open_sets={"enrolled": "gallery"})
    with pytest.raises(CheckpointError, match=r"(corrupted|truncated) or swapped"):
        Pipeline.load(folder, "cpu", settings, Model("m", "1.0"))
    manifest = Manifest.read(folder)
    files = {**manifest.files, GALLERY_FILE: FileRecord.of(foreign)}
    manifest.model_copy(update={"files": files}).write(folder)
    with pytest.raises(CheckpointError, match="the gallery was enrolled with vectors"):
        Pipeline.load(folder, "cpu", settings, Model("m", "1.0"))


def test_settings_that_do_not_say_so_are_refused(root: Path, tmp_path: Path) -> None:
    served(build(root, "single"), tmp_path)
    with pytest.raises(
        CheckpointError, match="the settings say that the open sets are none, the checkpoint has"
    ):
        Pipeline.load(tmp_path / "checkpoint", "cpu", Settings(heads={"a": 3}), Model("m", "1.0"))


def test_a_head_of_its_name_is_refused(root: Path, tmp_path: Path) -> None:
    heads = {"staff": str(root / "single"), "voice": str(root / "vectors")}
    (tmp_path / "taken").mkdir()
    written = {"heads": {}, "gallery": {"file": str(root / "of-several"), "head": "staff"}}
    for name, source in heads.items():
        shutil.copytree(source, tmp_path / "taken" / name)
        written["heads"][name] = f"./{name}"
    (tmp_path / "taken" / "model.yaml").write_text(json.dumps(written))
    with pytest.raises(BundleError, match="the model has a head 'staff': give the gallery's another name"):
        build(tmp_path, "taken")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gallery: gone\n", r"model\.yaml: gallery: there is no .*gone: `make enrol` writes it"),
        ("gallery: {file: model.yaml, head: a.b}\n", r"'a\.b' cannot be a head's name: use a-z, 0-9 and '_'"),
        ("gallery: {head: staff}\n", "gallery.file"),
        ("speaker_id: {open_sets: {a: gallery}}\n", r"speaker_id\.open_sets: not a key of this file"),
    ],
)
def test_what_model_yaml_cannot_say_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.yaml").write_text(f"source: org/m\n{text}")
    with pytest.raises(BundleError, match=words):
        read_spec(tmp_path / "m")


def test_an_archive_that_is_used_as_it_is_must_have_the_gallery_that_is_asked_for(root: Path) -> None:
    spec, mar = resolve(str(root / "vectors")), build(root, "vectors")
    assert spec.gallery is not None
    galleries.refuse_other(mar, spec.gallery, "")
    galleries.refuse_other(mar.with_name("none.mar"), spec.gallery, "")
    other = with_gallery(spec, str(root / "of-single")).gallery
    assert other is not None
    with pytest.raises(
        BundleError, match=r"GALLERY=.*of-single.* is not the gallery of vectors\.mar, which is"
    ):
        galleries.refuse_other(mar, other, "which is in the store already: choose another VERSION")


def test_a_file_that_is_no_gallery_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "voices.safetensors").write_text("no")
    with pytest.raises(BundleError, match=r"voices\.safetensors is no gallery: .*; run `make enrol` again"):
        build(root, "vectors", str(tmp_path / "voices.safetensors"))
    with pytest.raises(BundleError, match=r"GALLERY=.*gone: there is no .*gone: `make enrol` writes it"):
        build(root, "vectors", str(tmp_path / "gone"))
