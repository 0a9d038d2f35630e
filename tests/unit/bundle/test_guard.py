"""`make guard`: recordings of a head's labels and of strangers → a guard; `unknown:` of model.yaml → the archive."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speaker_id import checkpoint
from speaker_id.calibrated import Maker
from speaker_id.confidence import LabelMeans, confidence
from speaker_id.guard import guards
from speaker_id.manifest import CheckpointError, Manifest

from bundle import BundleError, archive
from bundle.enrolment import guard as command
from bundle.enrolment import report
from bundle.enrolment.guarding import Answered, Heard, calibrate, left_out, others_left_out
from bundle.sources import resolve
from bundle.spec import UnknownSpec
from tests.doubles.checkpoints import write_checkpoint
from tests.parity.families import clip

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
    found = calibrate(Heard(KNOWN, STRANGERS, SOUNDS), LABELS, MAKER, 0.05, "2026-01-01")
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
        report.of_guard(calibrate(Heard(KNOWN, STRANGERS, SOUNDS), LABELS, MAKER, 0.01), 0.01, 3)
    )


def test_the_neutral_threshold_lies_between_the_labels_and_the_strangers() -> None:
    found = calibrate(Heard(KNOWN, STRANGERS, SOUNDS), LABELS, MAKER, 0.05).guard
    for name, calibrated in found.manifest.methods.items():
        assert calibrated.slope > 0, name
    # the squared distance of a label's clip is about 8, of a stranger's 8 + 128
    assert -np.log(136) < found.manifest.methods["mahalanobis"].neutral < -np.log(8)


def test_a_sound_that_the_model_hears_twice_is_kept_once() -> None:
    found = calibrate(
        Heard(KNOWN, STRANGERS, replace(SOUNDS, embeddings=torch.eye(8)[[7, 7, 6]])), LABELS, MAKER, 0.05
    )
    assert found.guard.sounds.tolist() == torch.eye(8)[[7, 6]].tolist()


def test_strangers_are_compared_with_other_strangers() -> None:
    """The relative method's centre is of everybody else, or a stranger would look like the others by himself."""
    owners = torch.tensor([LABELS.index(name) for name in KNOWN.people])
    found = others_left_out(Heard(KNOWN, STRANGERS, SOUNDS), owners)
    with_himself = confidence(
        "relative",
        STRANGERS.logits,
        STRANGERS.embeddings,
        LabelMeans.fit(KNOWN.embeddings, owners, torch.cat([STRANGERS.embeddings, SOUNDS.embeddings])),
    )
    assert found["relative"].mean() > float(with_himself.mean())


def test_a_known_clip_is_left_out_of_its_labels_mean() -> None:
    odd = torch.eye(8)[[0, 0, 0, 0, 7, 1, 1, 1, 1, 1]] * 8
    clips = Answered((), odd[:, :2], odd + 0.01 * torch.arange(10.0)[:, None])
    scores = left_out(Heard(clips, STRANGERS, SOUNDS), torch.tensor([0] * 5 + [1] * 5))["cosine"]
    assert scores[4] < 0.1  # its own label is nearer only where it is part of the mean
    assert scores[[0, 1, 2, 3]].min() > 0.9


def test_too_few_strangers_are_refused() -> None:
    few = Answered(STRANGERS.people[:5], STRANGERS.logits[:5], STRANGERS.embeddings[:5])
    with pytest.raises(BundleError, match="5 clips of strangers cannot place a threshold: give at least 20"):
        calibrate(Heard(KNOWN, few, SOUNDS), LABELS, MAKER, 0.01)


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
        ("two", "", "HEAD is missing: two has several heads, say which gets the guard, one of mood, speaker"),
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
