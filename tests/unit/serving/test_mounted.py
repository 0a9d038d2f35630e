"""What is in a mounted folder of weights, and what is refused without anything being fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bundle import BundleError, archived
from bundle.spec import ModelSpec
from serving.mounted import Mounted, read

DEMO = Path(__file__).resolve().parents[3] / "models" / "demo"


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    folder = tmp_path / "mounted"
    folder.mkdir()
    return folder


@pytest.fixture
def checkpoint(mounted: Path) -> Path:
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        shutil.copy(DEMO / name, mounted)
    return mounted


def test_a_checkpoint_is_to_be_converted_under_its_folder_s_name(checkpoint: Path, tmp_path: Path) -> None:
    found = read(str(checkpoint), tmp_path / "run")
    assert [spec.name for spec in found.specs] == ["mounted"]
    assert (found.checkpoint, found.store) == (checkpoint, tmp_path / "run" / "model_store")
    assert not found.store.exists()  # a start that is refused changes nothing


def test_a_checkpoint_is_served_under_the_name_that_is_given(checkpoint: Path, tmp_path: Path) -> None:
    found = read(str(checkpoint), tmp_path / "run", "other")
    assert [spec.name for spec in found.specs] == ["other"]
    with pytest.raises(BundleError, match=r"^--name A/b cannot be a model's name: use a-z"):
        read(str(checkpoint), tmp_path / "run", "A/b")


def test_model_yaml_beside_it_is_read(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model.yaml").write_text("source: .\nversion: '3.1'\nspeaker_id: {default_top_k: 2}\n")
    (spec,) = read(str(checkpoint), tmp_path).specs
    assert (spec.version, spec.speaker_id.default_top_k) == ("3.1", 2)


def test_archives_are_served_as_they_are(
    mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mounted / "mine.mar").touch()
    spec = ModelSpec(name="mine", source="mine")
    monkeypatch.setattr(archived, "read_store", lambda folder: [spec] if folder == mounted else [])
    assert read(str(mounted), tmp_path) == Mounted([spec], mounted, None)


def test_folders_around_it_are_passed(checkpoint: Path, tmp_path: Path) -> None:
    outer = tmp_path / "1" / "deeper"
    outer.mkdir(parents=True)
    (tmp_path / "1" / ".amlignore").touch()
    checkpoint.rename(outer / "voices")
    (spec,) = read(str(tmp_path / "1"), tmp_path).specs
    assert spec.name == "voices"


@pytest.mark.parametrize("given", ["gs://bucket/model", "s3://bucket/model"])
def test_what_is_elsewhere_is_refused(given: str, tmp_path: Path) -> None:
    with pytest.raises(
        BundleError, match=rf"^the weights {given} are not on this machine, and nothing is fetched"
    ):
        read(given, tmp_path)


def test_what_is_neither_is_refused(mounted: Path, tmp_path: Path) -> None:
    (mounted / "model.pkl").touch()
    with pytest.raises(BundleError, match=r"hold neither an archive NAME\.mar nor a checkpoint"):
        read(str(mounted), tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere cannot be read: No such file or directory$"):
        read(str(tmp_path / "nowhere"), tmp_path)


def test_a_model_yaml_that_names_the_hub_is_refused(mounted: Path, tmp_path: Path) -> None:
    (mounted / "model.yaml").write_text("source: superb/wav2vec2-base-superb-sid\n")
    with pytest.raises(
        BundleError, match="names superb/wav2vec2-base-superb-sid on the hub, and nothing is fetched"
    ):
        read(str(mounted), tmp_path)


def test_of_several_heads_each_must_be_there(mounted: Path, tmp_path: Path) -> None:
    for name in ("speaker", "emotion"):
        (mounted / name).mkdir()
    spec = mounted / "model.yaml"
    spec.write_text("heads: {speaker: ./speaker, emotion: ./emotion}\n")
    assert list(read(str(mounted), tmp_path).specs[0].heads) == ["speaker", "emotion"]
    spec.write_text("heads: {speaker: ./speaker, emotion: org/emotion}\n")
    with pytest.raises(BundleError, match="names org/emotion on the hub"):
        read(str(mounted), tmp_path)


def test_a_checkpoint_that_cannot_be_converted_says_why_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "preprocessor_config.json").unlink()
    found = read(str(checkpoint), tmp_path / "run")
    with pytest.raises(
        BundleError, match=r"cannot be served: error: .* holds no preprocessor_config\.json"
    ) as caught:
        found.convert()
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "run" / "model_store").glob("*.mar")) == []
