"""Guards, a gallery and a default head on one model: each works beside the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from speaker_id.clip import Waveform
from speaker_id.manifest import CheckpointError
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model
from speaker_id.settings import Settings

from bundle import BundleError, archive, archived
from bundle.sources import resolve
from bundle.spec import guard_file
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.galleries import tone, write_gallery
from tests.doubles.guards import write_guard
from tests.doubles.served import ask, served
from tests.unit.handler.pipelines import payload

TONES = {"anna": tone(200), "bernd": tone(1_000), "chloe": tone(3_000)}
SILENCE = np.zeros(16_000, np.float32)


def built(root: Path, name: str) -> Path:
    return archive.build(resolve(str(root / name)), root / "store", checkpoints=root / "checkpoints")


def answer(asked: Pipeline, samples: Waveform, **parameters: Any) -> Any:
    return ask(asked, samples, **parameters)[0]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`all`: a guarded classifier, one without, an x-vector, and a gallery that answers what names no heads."""
    root = tmp_path_factory.mktemp("open")
    made = root / "all"
    write_checkpoint(made / "speaker", seed=1)
    write_checkpoint(made / "mood", seed=2, labels=("good", "bad"))
    write_checkpoint(made / "voice", seed=3, xvector=True)
    heads = {"mood": "./mood", "voice": "./voice", "speaker": {"source": "./speaker", "unknown": {}}}
    written = {"heads": heads, "gallery": "../voices", "speaker_id": {"default_head": "enrolled"}}
    (made / "model.yaml").write_text(json.dumps({"heads": heads}))
    checkpoint = archive.prepare(resolve(str(made)).without_guards(), root / "checkpoints")
    write_guard(made / guard_file("speaker"), checkpoint, TONES, [SILENCE], "speaker")
    voices = {"zoe": TONES["anna"], "yann": TONES["chloe"]}
    write_gallery(root / "voices", checkpoint, voices, [SILENCE, TONES["bernd"]])
    (made / "model.yaml").write_text(json.dumps(written))
    # one checkpoint of several classifiers
    write_checkpoint(root / "groups")
    (root / "groups" / "model.yaml").write_text(json.dumps({"source": "."}))
    plain = archive.prepare(resolve(str(root / "groups")), root / "checkpoints")
    write_gallery(root / "staff", plain, voices, [SILENCE])
    settings = {"heads": {"first": 1, "second": 2}, "default_head": "enrolled"}
    (root / "groups" / "model.yaml").write_text(
        json.dumps({"source": ".", "gallery": "../staff", "speaker_id": settings})
    )
    return root


@pytest.fixture(scope="module")
def everything(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return served(built(root, "all"), tmp_path_factory.mktemp("served"))


def test_a_gallery_may_answer_what_names_no_heads(everything: Pipeline) -> None:
    assert answer(everything, TONES["anna"])[0]["label"] == "zoe"
    assert answer(everything, SILENCE)[0]["label"] == "unknown"
    assert answer(everything, SILENCE, fpir=0.5)[0]["label"] in ("zoe", "yann")
    assert list(answer(everything, SILENCE, heads="mood")) == ["mood"]


def test_every_head_answers_at_once_each_unknown_of_its_own(everything: Pipeline) -> None:
    found = answer(everything, SILENCE, heads="all", top_k=9)
    assert list(found) == ["mood", "speaker", "enrolled"]
    assert {head: len(ranking) for head, ranking in found.items()} == {"mood": 2, "speaker": 4, "enrolled": 3}
    assert [found[head][0]["label"] for head in ("speaker", "enrolled")] == ["unknown", "unknown"]
    # a label of the guarded head's, and no enrolled voice
    known = answer(everything, TONES["bernd"], heads="all")
    assert known["speaker"][0]["label"] != "unknown"
    assert known["enrolled"][0]["label"] == "unknown"
    both = answer(everything, SILENCE, heads="all", fpir=0.5)  # of every head that may answer it
    assert "unknown" not in (both["speaker"][0]["label"], both["enrolled"][0]["label"])


def test_outputs_of_v2_are_of_the_default_head_by_name_and_without(everything: Pipeline) -> None:
    tensor = {"name": "a", "datatype": "FP32", "shape": [1, 16_000], "data": TONES["anna"].tolist()}
    wanted = ("label", "enrolled.label", "speaker.label", "embedding")
    body = {
        "inputs": [tensor],
        "parameters": {"sampling_rate": 16_000},
        "outputs": [{"name": n} for n in wanted],
    }
    (outcome,) = everything.identify([payload(body)])
    data = {output["name"]: output["data"] for output in outcome.body["outputs"]}
    assert data["label"] == data["enrolled.label"]
    assert data["label"][0] == "zoe"
    assert len(data["embedding"]) == everything.space.width
    alone = answer(everything, TONES["anna"], output="embedding")
    assert data["embedding"] == pytest.approx(alone["embedding"], abs=2e-5)


def test_a_gallery_stands_beside_the_classifiers_of_one_checkpoint(root: Path, tmp_path: Path) -> None:
    mar = built(root, "groups")
    assert archived.read(mar).speaker_id.heads == {"first": 1, "second": 2, "enrolled": 3}
    assert archived.labels(mar)["second"] == ("bernd", "chloe")
    asked = served(mar, tmp_path)
    assert answer(asked, TONES["anna"])[0]["label"] == "zoe"
    assert list(answer(asked, TONES["anna"], heads="all")) == ["first", "second", "enrolled"]


def test_a_default_head_that_no_answer_has_is_refused_at_build_and_at_load(
    root: Path, tmp_path: Path
) -> None:
    """A gallery's head is known only where it has joined the model's own."""
    spec = resolve(str(root / "groups"))
    for gallery, heads, fault in (
        (spec.gallery, {"first": 1, "second": 2}, " is no head that has labels: first, second, enrolled"),
        (spec.gallery, {}, " is no head that has labels: classifier, enrolled"),
        (None, {}, ": it has no heads by name"),
    ):
        settings = Settings(heads=heads, default_head="third")
        other = spec.model_copy(update={"gallery": gallery, "speaker_id": settings})
        with pytest.raises(BundleError, match=f"default_head 'third'{fault}"):
            archive.build(other, tmp_path, checkpoints=root / "checkpoints")
    served(built(root, "groups"), tmp_path / "out")
    given = yaml.safe_load((tmp_path / "out" / "model-config.yaml").read_text())["speaker_id"]
    with pytest.raises(CheckpointError, match=r"default_head 'third' is no head .*: build the archive again"):
        Pipeline.load(
            tmp_path / "out" / "checkpoint",
            "cpu",
            Settings(**given | {"default_head": "third"}),
            Model("m", "1"),
        )
