"""A guarded head's answers: what is unknown, for whom, and what it costs the others."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speaker_id.clip import Waveform
from speaker_id.guard import Guarded
from speaker_id.pipeline import Pipeline

from bundle import archive, archived, repository
from bundle.sources import resolve
from bundle.spec import guard_file
from tests.doubles import served as unpacked
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.galleries import tone, write_gallery
from tests.doubles.guards import write_guard
from tests.unit.handler.pipelines import LoudnessEncoder, payload

TONES = {"anna": tone(200), "bernd": tone(1_000), "chloe": tone(3_000)}
SILENCE = np.zeros(16_000, np.float32)


def guarded(folder: Path, name: str, heads: dict[str, Any] | None, **more: Any) -> Path:
    """A model's folder with a guard: of its only head, or of `speaker` among several."""
    made, head = folder / name, "speaker" if heads else ""
    write_checkpoint(made / head, seed=1)
    if heads:
        write_checkpoint(made / "mood", seed=2, labels=("good", "bad"))
        write_checkpoint(made / "voice", seed=3, xvector=True)
    content = (
        {"heads": {**heads, "speaker": {"source": "./speaker", "unknown": {}}}} if heads else {"source": "."}
    )
    (made / "model.yaml").write_text(json.dumps({**content, **({} if heads else {"unknown": {}}), **more}))
    plain = archive.prepare(resolve(str(made)).without_guards(), folder / "checkpoints")
    write_guard(made / guard_file(head), plain, TONES, [SILENCE], head)
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`single`, and `several` of which the guarded head is the second; and each without its guard."""
    root = tmp_path_factory.mktemp("guarded")
    guarded(root, "single", None)
    guarded(root, "several", {"mood": "./mood", "voice": "./voice"})
    return root


@cache
def served(root: Path, name: str, guards: bool = True, encoder: str = "packed") -> Pipeline:
    """The pipeline of an archive's content, as a worker loads it."""
    spec = resolve(str(root / name))
    spec = spec if guards else spec.without_guards()
    mar = archive.build(spec, root / f"store-{guards}", checkpoints=root / "checkpoints")
    with tempfile.TemporaryDirectory() as folder:
        return unpacked.served(mar, Path(folder), encoder=encoder)


def ask(asked: Pipeline, *samples: Waveform, **parameters: Any) -> Any:
    return unpacked.ask(asked, *samples, **{"top_k": 9, **parameters})


def order(ranking: Any) -> list[str]:
    return [each["label"] for each in ranking if each["label"] != "unknown"]


@pytest.mark.parametrize("encoder", ["packed", "reference"])
@pytest.mark.parametrize("name", ["single", "several"])
def test_strangers_are_unknown_and_the_labels_keep_their_order(root: Path, name: str, encoder: str) -> None:
    asked, plain = served(root, name, encoder=encoder), served(root, name, guards=False, encoder=encoder)
    clips = [*TONES.values(), SILENCE]
    found, without = ask(asked, *clips), ask(plain, *clips)
    if name == "several":
        assert [each["mood"] for each in found] == [each["mood"] for each in without]
        found, without = ([each["speaker"] for each in answers] for answers in (found, without))
    for ranking, closed in zip(found, without, strict=True):
        assert order(ranking) == order(closed)
        assert sum(each["score"] for each in ranking) == pytest.approx(1)
        known = 1 - next(each["score"] for each in ranking if each["label"] == "unknown")
        shares = {each["label"]: each["score"] for each in ranking}
        assert [shares[each["label"]] for each in closed] == pytest.approx(
            [known * each["score"] for each in closed], abs=1e-6
        )
    assert [ranking[0]["label"] == "unknown" for ranking in found] == [False, False, False, True]


def test_a_request_chooses_what_is_unknown(root: Path) -> None:
    asked = served(root, "single")
    (ranking,) = ask(asked, SILENCE, fpir=0.5)
    assert ranking[0]["label"] != "unknown"
    (ranking,) = ask(asked, TONES["anna"], min_score=1)
    assert ranking[0]["label"] == "unknown"


def test_heads_beside_a_guarded_one_answer_alone(root: Path) -> None:
    asked = served(root, "several")
    (found,) = ask(asked, SILENCE, heads=["mood"])
    assert list(found) == ["mood"]
    # the model's embedding, an x-vector, in the same batch as the guarded head's own
    bodies = [
        payload({"instances": [{"array": clip.tolist(), "sampling_rate": 16_000}], "parameters": parameters})
        for clip, parameters in ((SILENCE, {}), (TONES["anna"], {"output": "embedding"}), (TONES["anna"], {}))
    ]
    unknown, vector, known = (outcome.body["predictions"][0] for outcome in asked.identify(bodies))
    assert unknown["speaker"][0]["label"] == "unknown"
    assert known["speaker"][0]["label"] != "unknown"
    (alone,) = ask(served(root, "several", guards=False), TONES["anna"], output="embedding")
    assert vector["embedding"] == pytest.approx(alone["embedding"], abs=2e-5)


def test_a_clip_too_short_for_an_x_vector_has_a_guarded_answer(root: Path) -> None:
    asked = served(root, "several")
    assert asked.encoder.min_embedding_samples > 2_000
    (found,) = ask(asked, TONES["anna"][:2_000])
    assert len(found["speaker"]) == 4


def test_a_method_on_logits_computes_no_embedding(root: Path) -> None:
    asked = served(root, "single")
    opened = asked.open_sets[""]
    assert isinstance(opened, Guarded)
    encoder: Any = LoudnessEncoder()
    encoder.embed = None
    by_logits = replace(asked, encoder=encoder, open_sets={"": replace(opened, method="msp")})
    with pytest.raises(TypeError):
        ask(replace(asked, encoder=encoder), SILENCE)
    two = replace(opened, method="msp", labels=opened.labels[1:])
    assert len(ask(replace(by_logits, labels=two.labels, open_sets={"": two}), SILENCE)[0]) == 3


@pytest.mark.parametrize(
    ("name", "head", "heads"), [("single", "", {}), ("several", "speaker", {"mood": 2, "speaker": 4})]
)
def test_every_server_is_told_of_unknown(
    root: Path, tmp_path: Path, name: str, head: str, heads: dict[str, int]
) -> None:
    mar = archive.build(resolve(str(root / name)), root / "store-True", checkpoints=root / "checkpoints")
    settings = archived.read(mar).speaker_id
    assert (settings.heads, settings.open_sets) == (heads, {head: "guard"})
    repository.write(mar, tmp_path)
    labels = (tmp_path / name / repository.labels_file(head)).read_text()
    assert labels.split() == ["anna", "bernd", "chloe", "unknown"]


def test_a_guard_and_a_gallery_stand_side_by_side(root: Path, tmp_path: Path) -> None:
    made = guarded(root, "both", None)
    plain = archive.prepare(resolve(str(made)).without_guards(), root / "checkpoints")
    write_gallery(root / "voices", plain, {"zoe": TONES["anna"]}, [SILENCE, TONES["chloe"]])
    (made / "model.yaml").write_text(json.dumps({"source": ".", "unknown": {}, "gallery": "../voices"}))
    (found,) = ask(served(root, "both"), TONES["anna"], heads="all")
    assert sorted(each["label"] for each in found["classifier"]) == ["anna", "bernd", "chloe", "unknown"]
    assert found["enrolled"][0]["label"] == "zoe"
