"""A precision below fp32 is served only if it answers as fp32 does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from speaker_id import checkpoint
from speaker_id.encoder import choose
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.encoder.packed.probe import computes_bf16
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.gallery import Gallery
from speaker_id.manifest import CheckpointError, Manifest
from speaker_id.settings import Settings

from bundle import BundleError, archive, precision, sources
from bundle.precision import Comparison, check_agreement, check_gallery, compare
from bundle.samples import recordings
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.demo import demo_speaker
from tests.doubles.galleries import tone, write_gallery
from tests.doubles.guards import write_guard

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "models" / "demo" / "samples"
BF16 = Settings.model_validate({"precision": "bf16"})
needs_bf16 = pytest.mark.skipif(not computes_bf16(torch.device("cpu")), reason="this processor has no bf16")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive.prepare(demo_speaker(), tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(converted, tmp_path / "checkpoint")


def answers(monkeypatch: pytest.MonkeyPatch, changed: int, clips: int = 10) -> None:
    def compare(*_: Any) -> Iterator[Comparison]:
        for index in range(clips):
            found = {"": "ben" if index < changed else "anna"}
            yield Comparison(f"{index}.wav", {"": "anna"}, found, 0.25 if index else 0.5)

    monkeypatch.setattr(precision, "compare", compare)


def test_fp32_needs_no_check(folder: Path) -> None:
    check_agreement(folder, Settings.model_validate({}), 1.0)
    assert Manifest.read(folder).precision is None


@needs_bf16
def test_the_demo_model_passes_in_bf16_and_the_manifest_says_how(folder: Path) -> None:
    check_agreement(folder, BF16, 0.995, SAMPLES)
    check = Manifest.read(folder).precision
    assert check
    assert (check.precision, check.clips, check.agreement, check.threshold) == ("bf16", 16, 1.0, 0.995)
    assert 0 < check.median_drift <= check.largest_drift < 0.1
    assert checkpoint.verify(folder).precision == check


def test_too_many_changed_answers_are_refused_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, changed=2)
    with pytest.raises(
        BundleError, match=r"bf16 agrees with fp32 on 80\.0% of 10 clips, fewer than the required 99\.5%"
    ):
        check_agreement(folder, BF16, 0.995, SAMPLES)
    said = capsys.readouterr().out
    assert "changed: 0.wav: anna became ben\n  changed: 1.wav: anna became ben" in said
    assert "0.2500 (median) and at most 0.5000" in said
    assert Manifest.read(folder).precision is None


@pytest.mark.parametrize(
    ("changed", "cosine", "message"),
    [(2, 1.0, r"on 80\.0% of 10 clips \(voice\)"), (0, 0.98, r"on 0\.0% of 10 clips \(the x-vector\)")],
)
def test_every_head_must_agree(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changed: int, cosine: float, message: str
) -> None:
    def compare(*_: Any) -> Iterator[Comparison]:
        for index in range(10):
            found = {"keyword": "yes", "voice": "ben" if index < changed else "anna"}
            yield Comparison(f"{index}.wav", {"keyword": "yes", "voice": "anna"}, found, 0.1, cosine)

    monkeypatch.setattr(precision, "compare", compare)
    with pytest.raises(BundleError, match=message):
        check_agreement(folder, BF16, 0.995, SAMPLES)


@needs_bf16
def test_heads_that_share_a_pass_are_checked_each(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m" / "speaker")
    write_checkpoint(tmp_path / "m" / "voice", seed=3, xvector=True)
    (tmp_path / "m" / "model.yaml").write_text('{"heads": {"speaker": "./speaker", "voice": "./voice"}}')
    made = archive.prepare(sources.resolve(str(tmp_path / "m")), tmp_path / "c")
    (each, *_) = compare(made, BF16, recordings("CALIBRATION", SAMPLES)[:1])
    assert each.expected.keys() == {"speaker"}
    assert each.similarity is not None
    assert 0.9 < each.similarity < 1


def test_the_threshold_is_the_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, changed=2)
    check_agreement(folder, BF16, 0.8, SAMPLES)
    check = Manifest.read(folder).precision
    assert check
    assert check.agreement == pytest.approx(0.8)


def test_an_earlier_check_is_kept_until_clips_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, changed=0, clips=10)
    check_agreement(folder, BF16, 0.995, SAMPLES)
    answers(monkeypatch, changed=0, clips=5)
    check_agreement(folder, BF16, 0.995)
    first = Manifest.read(folder).precision
    check_agreement(folder, BF16, 0.995, SAMPLES)
    second = Manifest.read(folder).precision
    assert first
    assert second
    assert (first.clips, second.clips) == (10, 5)


def test_a_folder_without_clips_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"CALIBRATION=.* holds no audio files"):
        check_agreement(folder, BF16, 0.995, tmp_path / "nothing")


@needs_bf16
def test_a_clip_that_does_not_decode_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(BundleError, match=r"broken\.wav cannot be used"):
        check_agreement(folder, BF16, 0.995, tmp_path)


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})


@pytest.mark.usefixtures("without_bf16")
def test_a_processor_without_bf16_neither_checks_nor_loads_it_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = "precision bf16: cpu has no bf16 arithmetic; serve with precision fp32"
    with pytest.raises(BundleError, match=lacking):
        check_agreement(folder, BF16, 0.995, SAMPLES)
    answers(monkeypatch, changed=0)
    check_agreement(folder, BF16, 0.995, SAMPLES)  # as on the machine that built the archive
    with pytest.raises(CheckpointError, match=lacking):
        choose.choose(checkpoint.load(folder), BF16, "cpu")


def test_a_precision_that_was_not_checked_does_not_load(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="was not checked against fp32"):
        choose.choose(checkpoint.load(folder), BF16, "cpu")


def test_the_packed_encoder_serves_by_default_and_the_reference_if_asked(folder: Path) -> None:
    loaded = checkpoint.load(folder)
    assert isinstance(choose.choose(loaded, Settings.model_validate({}), "cpu"), PackedEncoder)
    reference = Settings.model_validate({"encoder": "reference"})
    assert isinstance(choose.choose(loaded, reference, "cpu"), ReferenceEncoder)


@needs_bf16
def test_a_checked_precision_serves(folder: Path) -> None:
    check_agreement(folder, BF16, 0.995, SAMPLES)
    encoder = choose.choose(checkpoint.load(folder), BF16, "cpu")
    assert isinstance(encoder, PackedEncoder)
    assert "bf16" in encoder.describe()
    both = BF16.model_copy(update={"encoder": "reference"})
    with pytest.raises(CheckpointError, match="needs the packed encoder"):
        choose.choose(checkpoint.load(folder), both, "cpu")


@needs_bf16
def test_what_a_guard_says_is_checked_too(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m" / "speaker")
    write_checkpoint(tmp_path / "m" / "mood", seed=1, labels=("good", "bad"))
    heads = '{"mood": "./mood", "speaker": {"source": "./speaker", "unknown": {}}}'
    (tmp_path / "m" / "model.yaml").write_text(f'{{"heads": {heads}}}')
    spec = sources.resolve(str(tmp_path / "m"))
    clips = {label: tone(hz) for label, hz in (("anna", 200), ("bernd", 1_000), ("chloe", 3_000))}
    plain = archive.prepare(spec.without_guards(), tmp_path / "c")
    path, silence = tmp_path / "m" / "guard-speaker.safetensors", np.zeros(16_000, np.float32)
    write_guard(path, plain, clips, [silence], "speaker")
    made = archive.prepare(spec, tmp_path / "c")
    (each, *_) = compare(made, BF16, recordings("CALIBRATION", SAMPLES)[:1])
    assert each.expected["speaker"] == "unknown"  # nobody of these
    assert each.found["speaker"] == "unknown"


@needs_bf16
def test_what_a_gallery_says_is_checked_too(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voices, silence = {"zoe": tone(200), "yann": tone(3_000)}, np.zeros(16_000, np.float32)
    gallery = Gallery.read(write_gallery(tmp_path, converted, voices, [silence]))
    check_gallery(converted, Settings.model_validate({}), 1.0, gallery)
    assert capsys.readouterr().out == "", "fp32 needs no check"
    check_gallery(converted, BF16, 0.995, gallery, SAMPLES)
    assert (
        "bf16 gives the enrolled voice of fp32, or unknown, on 100.0% of 16 clips" in capsys.readouterr().out
    )
    (each, *_) = compare(converted, BF16, recordings("CALIBRATION", SAMPLES)[:1], gallery)
    assert each.expected == {"": "allison_smith", "enrolled voices": "unknown"}

    def compared(*_: Any) -> Iterator[Comparison]:
        for index in range(10):
            found = {"": "anna", "enrolled voices": "zoe" if index < 2 else "unknown"}
            yield Comparison(f"{index}.wav", {"": "anna", "enrolled voices": "unknown"}, found, 0.5)

    monkeypatch.setattr(precision, "compare", compared)
    with pytest.raises(BundleError, match=r"on 80.0% of 10 clips, fewer .* \(0.wav: unknown became zoe\)"):
        check_gallery(converted, BF16, 0.995, gallery)
