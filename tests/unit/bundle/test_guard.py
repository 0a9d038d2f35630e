"""`make guard`: recordings of a head's labels and of strangers → a guard; `unknown:` of model.yaml → the archive."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from speaker_id import checkpoint
from speaker_id.calibrated import Maker
from speaker_id.clip import Waveform
from speaker_id.guard import Guarded, guards
from speaker_id.manifest import CheckpointError, Manifest
from speaker_id.pipeline import Pipeline

from bundle import BundleError, archive, archived, repository
from bundle.enrolment import guard as command
from bundle.enrolment import report
from bundle.enrolment.guarding import Answered, calibrate, left_out
from bundle.sources import resolve
from bundle.spec import UnknownSpec, guard_file
from tests.doubles import served as unpacked
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.galleries import tone, write_gallery
from tests.doubles.guards import write_guard
from tests.parity.families import clip
from tests.unit.handler.pipelines import LoudnessEncoder, payload

MAKER = Maker(model="m", sha256="a" * 64, dim=8)
LABELS = ("anna", "ben", "cleo")


def answered(people: list[str], axes: list[int], seed: int) -> Answered:
    """Clips near one axis each; the logits are the first three of them."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = 8 * torch.eye(8)[axes] + torch.randn(len(axes), 8, generator=generator)
    return Answered(tuple(people), embeddings[:, :3], embeddings)


KNOWN = answered(
    [name for name in LABELS for _ in range(20)], [axis for axis in range(3) for _ in range(20)], 0
)
STRANGERS = answered([f"s{axis}" for axis in range(3, 7) for _ in range(20)], [3, 4, 5, 6] * 20, 1)
SOUNDS = answered(["", "", ""], [7, 7, 7], 2)


def test_strangers_are_unknown_and_labels_are_named() -> None:
    found = calibrate(KNOWN, STRANGERS, SOUNDS, LABELS, MAKER, 0.05, "2026-01-01")
    manifest = found.guard.manifest
    assert (manifest.labels, manifest.clips, manifest.strangers, manifest.people) == (3, 60, 80, 4)
    assert (manifest.calibrated, manifest.made) == ("2026-01-01", MAKER)
    assert found.closed.value == 1
    for method, measured in found.methods.items():
        assert measured.named.value > 0.9, method
        assert measured.false_alarms.value < 0.15, method
        assert measured.sounds == 3, method
    text = "\n".join(report.of_guard(found, 0.05, 3))
    assert "60 clips of 3 labels, 80 of 4 strangers" in text
    assert "mahalanobis: 100.0 %" in text
    assert "extrapolated" not in text
    assert "extrapolated: 80 clips of strangers are too few to observe 1.0%; 300 would do" in "\n".join(
        report.of_guard(calibrate(KNOWN, STRANGERS, SOUNDS, LABELS, MAKER, 0.01), 0.01, 3)
    )


def test_the_neutral_threshold_lies_between_the_labels_and_the_strangers() -> None:
    found = calibrate(KNOWN, STRANGERS, SOUNDS, LABELS, MAKER, 0.05).guard
    for name, calibrated in found.manifest.methods.items():
        assert calibrated.slope > 0, name
    # the squared distance of a label's clip is about 8, of a stranger's 8 + 128
    assert -np.log(136) < found.manifest.methods["mahalanobis"].neutral < -np.log(8)


def test_a_known_clip_is_left_out_of_its_labels_mean() -> None:
    odd = torch.eye(8)[[0, 0, 0, 0, 7, 1, 1, 1, 1, 1]] * 8
    clips = Answered((), odd[:, :2], odd + 0.01 * torch.arange(10.0)[:, None])
    scores = left_out("cosine", clips, torch.tensor([0] * 5 + [1] * 5))
    assert scores[4] < 0.1  # its own label is nearer only where it is part of the mean
    assert scores[[0, 1, 2, 3]].min() > 0.9


def test_too_few_strangers_are_refused() -> None:
    few = Answered(STRANGERS.people[:5], STRANGERS.logits[:5], STRANGERS.embeddings[:5])
    with pytest.raises(BundleError, match="5 clips of strangers cannot place a threshold: give at least 20"):
        calibrate(KNOWN, few, SOUNDS, LABELS, MAKER, 0.01)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of clips: `known` of three labels, `strangers` of two people; and two models beside them."""
    folder = tmp_path_factory.mktemp("recorded")
    people = [
        ("known", "anna"),
        ("known", "bernd"),
        ("known", "chloe"),
        ("strangers", "x"),
        ("strangers", "y"),
    ]
    for number, (kind, person) in enumerate(people):
        (folder / kind / person).mkdir(parents=True)
        for index in range(10 if kind == "strangers" else 3):
            samples = clip(56_000 if kind == "known" else 9_000, 4 * number + index % 3 + 16 * index)
            soundfile.write(folder / kind / person / f"{index}.wav", samples, 16_000)
    write_checkpoint(folder / "one")
    (folder / "one" / "model.yaml").write_text(json.dumps({"source": ".", "unknown": {"method": "cosine"}}))
    write_checkpoint(folder / "two" / "speaker", seed=5)
    write_checkpoint(folder / "two" / "mood", seed=6, labels=("good", "bad"))
    heads = {"mood": "./mood", "speaker": {"source": "./speaker", "unknown": {"fpir": "2%"}}}
    (folder / "two" / "model.yaml").write_text(json.dumps({"heads": heads}))
    return folder


def calibrated(recorded: Path, model: str, *more: str) -> int:
    arguments = ["--model", str(recorded / model), "--out", str(recorded / model)]
    arguments += ["--voices", str(recorded / "known"), "--strangers", str(recorded / "strangers")]
    return command.main([*arguments, "--checkpoints", str(recorded / "checkpoints"), *more])


def test_a_model_of_one_head_carries_its_guard(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, checkpoints = resolve(str(recorded / "one")), recorded / "checkpoints"
    with pytest.raises(
        BundleError, match=r"one: unknown: there is no guard\.safetensors beside its model\.yaml"
    ):
        archive.prepare(spec, checkpoints)
    assert calibrated(recorded, "one") == 0
    assert "put it beside model.yaml, and in it: unknown: {method: " in capsys.readouterr().out
    folder = archive.prepare(spec, checkpoints)
    manifest = Manifest.read(folder)
    assert manifest.guard is not None
    assert (manifest.guard.method, manifest.guard.fpir) == ("cosine", 0.01)
    assert "guard.safetensors" in manifest.files
    assert guards(folder, checkpoint.load(folder))[""].labels == ("anna", "bernd", "chloe", "unknown")
    file = recorded / "one" / "guard.safetensors"
    for unknown in ({"method": "msp", "fpir": 0.01}, {"method": "msp", "fpir": 0.1}):
        changed = spec.model_copy(update={"unknown": UnknownSpec.model_validate({**unknown, "file": file})})
        again = Manifest.read(archive.prepare(changed, checkpoints)).guard
        assert again is not None
        assert (again.method, again.fpir) == (unknown["method"], unknown["fpir"])
    plain = archive.prepare(spec.without_guards(), checkpoints)
    assert Manifest.read(plain).guard is None
    assert guards(plain, checkpoint.load(plain)) == {}


def test_a_head_of_several_carries_its_guard(recorded: Path, tmp_path: Path) -> None:
    assert calibrated(recorded, "two", "--head", "speaker", "--fpir", "5%") == 0
    spec = resolve(str(recorded / "two"))
    folder = archive.prepare(spec, recorded / "checkpoints")
    loaded = checkpoint.load(folder)
    found = guards(folder, loaded)
    assert list(found) == ["speaker"]
    assert (found["speaker"].method, found["speaker"].fpir) == ("mahalanobis", 0.02)
    assert loaded.manifest.heads["mood"].guard is None
    assert "speaker.guard.safetensors" in loaded.manifest.files
    # another weight of the head: the archive is not built
    write_checkpoint(recorded / "two" / "speaker", seed=7)
    with pytest.raises(BundleError, match="not for this head"):
        archive.prepare(spec, recorded / "checkpoints")


@pytest.mark.parametrize(
    ("model", "head", "message"),
    [
        ("one", "speaker", "HEAD=speaker is no head of one: it has one, without a name"),
        ("two", "", "HEAD= is no head of two: mood, speaker"),
        ("two", "mood", "VOICES= has a folder anna, which is no label of the head: its labels are good, bad"),
    ],
)
def test_heads_and_labels_that_are_not_there_are_refused(
    recorded: Path, capsys: pytest.CaptureFixture[str], model: str, head: str, message: str
) -> None:
    assert calibrated(recorded, model, "--head", head) == 1
    assert message in capsys.readouterr().err


def test_every_label_needs_recordings(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in ("anna", "bernd"):
        (tmp_path / person).symlink_to(recorded / "known" / person)
    assert calibrated(recorded, "one", "--voices", str(tmp_path)) == 1
    assert "no folder of 1 of the head's 3 labels, chloe among them" in capsys.readouterr().err


def test_a_guard_that_was_exchanged_ends_the_start(recorded: Path, tmp_path: Path) -> None:
    assert calibrated(recorded, "one") == 0
    folder = archive.prepare(resolve(str(recorded / "one")), tmp_path)
    content = bytearray((folder / "guard.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "guard.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"guard\.safetensors has SHA-256"):
        checkpoint.load(folder)


# a model that is not trained tells tones and silence apart better than noise
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
    (found,) = ask(served(root, "both"), TONES["anna"])
    assert sorted(each["label"] for each in found["classifier"]) == ["anna", "bernd", "chloe", "unknown"]
    assert found["enrolled"][0]["label"] == "zoe"
