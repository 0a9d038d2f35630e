"""The model and the gallery that `make image` is asked for: what there is, and what the build sees."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from bundle import BundleError
from deploy.docker import image
from deploy.docker.engine import Engine
from tests.unit.deploy.kustomized import ROOT


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the model demo, and a checkpoint elsewhere."""
    for folder in ("clone/models/demo", "clone/models/NAME", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "models" / "demo" / "model.yaml", tmp_path / "clone/models/demo")
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


def test_a_model_is_one_that_there_is_and_that_the_build_sees(clone: Path) -> None:
    def asked(model: str, revision: str = "") -> str:
        return image.asked(Engine("docker"), "triton", model, revision, "cpu", "").arguments["MODEL"]

    assert [asked(given) for given in ("demo", "superb/x")] == ["demo", "superb/x"]
    for given in ("models/NAME", "./models/NAME", str(clone / "models/NAME")):
        assert asked(given) == "models/NAME"
    with pytest.raises(BundleError, match=r"MODEL=nonexistent is not a name under models/ \(demo\)"):
        asked("nonexistent")
    with pytest.raises(BundleError, match="REVISION=main is for models on the hub"):
        asked("models/NAME", "main")
    for given in ("../elsewhere", str(clone.parent / "elsewhere")):
        with pytest.raises(BundleError, match=f"MODEL={given} is not below models/, of which alone"):
            asked(given)


def test_a_gallery_is_a_file_that_the_build_sees(clone: Path) -> None:
    asked = partial(image.asked, Engine("docker"), "triton", "demo", "", "cpu", "", ())
    assert "GALLERY" not in asked("").arguments
    for given in ("models/NAME/g.safetensors", str(clone / "models/NAME/g.safetensors")):
        assert asked(given).arguments["GALLERY"] == "models/NAME/g.safetensors"
    with pytest.raises(
        BundleError, match="GALLERY=build/g is not below models/, of which alone an image is built"
    ):
        asked("build/g")
    for file in image.FILES.values():
        text = (ROOT / "deploy" / "docker" / file).read_text("utf-8")
        assert "ARG GALLERY=\n" in text
        assert '--gallery "$GALLERY"' in text
