"""What is committed under models/demo: small, right about its own samples, and described as measured."""

import csv
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from bundle.samples import samples
from training import MODEL_DIR
from training.card import BLOCK, TABLES, render
from training.evaluate import Reference
from training.samples import COLUMNS
from training.split import split_prompts
from training.train import demo_config
from training.voices import LABELS, VOICES
from training.waveform import decode, resample

SAMPLES = MODEL_DIR / "samples"
MANIFEST = list(csv.DictReader((SAMPLES / "manifest.csv").read_text().splitlines()))
EVALUATION = json.loads((MODEL_DIR / "evaluation.json").read_text())
CARD = (MODEL_DIR / "README.md").read_text()


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, float]]:
    """Each sample's labels and probabilities, through transformers and nothing of ours."""
    extract = AutoFeatureExtractor.from_pretrained(MODEL_DIR)
    model = AutoModelForAudioClassification.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    result = {}
    for row in MANIFEST:
        waveform, rate = soundfile.read(SAMPLES / row["clip"], dtype="float32")
        waveform = soxr.resample(waveform, rate, extract.sampling_rate)
        inputs = extract(waveform, sampling_rate=extract.sampling_rate, return_tensors="pt")
        with torch.inference_mode():
            probabilities = model(inputs.input_values).logits[0].softmax(0).tolist()
        result[row["clip"]] = {model.config.id2label[i]: value for i, value in enumerate(probabilities)}
    return result


@pytest.mark.parametrize("row", MANIFEST, ids=lambda row: row["clip"])
def test_every_sample_is_answered_right(row: dict[str, str], answers: dict[str, dict[str, float]]) -> None:
    scores = answers[row["clip"]]
    assert max(scores, key=scores.__getitem__) == row["speaker"]


@pytest.mark.parametrize("row", EVALUATION["samples"], ids=lambda row: row["clip"])
def test_every_sample_scores_what_the_card_says(
    row: dict[str, object], answers: dict[str, dict[str, float]]
) -> None:
    speaker = next(entry["speaker"] for entry in MANIFEST if entry["clip"] == row["clip"])
    assert answers[str(row["clip"])][speaker] == pytest.approx(row["probability"], abs=2e-3)


def test_the_samples_are_held_out_and_of_all_voices() -> None:
    split = split_prompts((row["prompt"], row["clip"]) for row in MANIFEST)
    assert {split[row["prompt"]] for row in MANIFEST} == {"test"}
    assert {(row["speaker"], row["language"]) for row in MANIFEST} == {
        (v.speaker, v.language) for v in VOICES
    }


def test_the_manifest_lists_the_clips_as_they_are() -> None:
    assert tuple(MANIFEST[0]) == COLUMNS
    assert {row["clip"] for row in MANIFEST} == {path.name for path in SAMPLES.glob("*.flac")}
    rate_of = {voice.package: voice.sample_rate for voice in VOICES}
    licence_of = {voice.package: voice.licence for voice in VOICES}
    for row in MANIFEST:
        info = soundfile.info(SAMPLES / row["clip"])
        assert (info.samplerate, info.channels) == (rate_of[row["package"]], 1)
        assert math.isclose(info.duration, float(row["seconds"]), abs_tol=0.01)
        assert row["licence"] == licence_of[row["package"]]


def test_the_guard_names_the_samples_and_calls_the_stranger_unknown() -> None:
    reference = Reference(MODEL_DIR)
    guarded = {row["clip"]: row["guarded"] for row in EVALUATION["samples"]}
    for row in MANIFEST:
        scores = reference(resample(*decode(SAMPLES / row["clip"])))
        assert LABELS[int(scores.argmax())] == row["speaker"]
        assert scores[LABELS.index(row["speaker"])] == pytest.approx(guarded[row["clip"]], abs=2e-3)
    (stranger,) = samples(MODEL_DIR / "strangers")
    scores = reference(resample(*decode(stranger.path)))
    assert (stranger.speaker, int(scores.argmax())) == ("unknown", len(LABELS))
    assert scores[-1] == pytest.approx(EVALUATION["stranger"]["probability"], abs=2e-3)


def test_sounds_without_a_voice_are_unknown() -> None:
    reference, time = Reference(MODEL_DIR), np.arange(48_000, dtype=np.float32) / 16_000
    noise = 0.1 * np.random.default_rng(1).standard_normal(48_000).astype(np.float32)
    # other tones than those that the guard knows; the card says how many of such are named
    tones = [np.sin(2 * np.pi * hz * time) for hz in (300, *np.geomspace(60, 4000, 30, dtype=np.float32))]
    for sound in (np.zeros(48_000, np.float32), noise, *tones):
        assert reference(sound).argmax() == len(LABELS)


def test_the_language_head_is_told_for_what_it_is() -> None:
    """It is right about the six, and what it is worth for people never heard stands in the card."""
    found = EVALUATION["language"]["measured"]
    assert found["the six named voices, held out"]["accuracy"]["value"] > 0.9
    assert EVALUATION["language"]["chance"] == 0.2
    assert found["people never heard"]["accuracy"]["low"] < 0.2, "else the card says too little of it"


def test_the_files_stay_small() -> None:
    assert sum(_size(path) for path in MODEL_DIR.rglob("*.safetensors")) <= 4_000_000
    assert sum(_size(path) for path in SAMPLES.glob("*.flac")) <= 1_500_000


def test_the_checkpoint_is_the_architecture_of_the_recipe() -> None:
    """What dropout it was trained with included: config.json is all that a server reads."""
    ours, saved = demo_config().to_dict(), json.loads((MODEL_DIR / "config.json").read_text())
    by_index = {str(index): label for index, label in enumerate(LABELS)}
    assert saved["id2label"] == by_index
    assert saved["label2id"] == {label: int(index) for index, label in by_index.items()}
    for name in (
        "conv_dim",
        "hidden_size",
        "num_hidden_layers",
        "num_conv_pos_embedding_groups",
        "hidden_dropout",
    ):
        assert saved[name] == (list(ours[name]) if isinstance(ours[name], tuple) else ours[name])


def test_the_evaluation_is_of_the_committed_weights() -> None:
    weights = (MODEL_DIR / "model.safetensors").read_bytes()
    assert EVALUATION["model_sha256"] == hashlib.sha256(weights).hexdigest()


def test_the_card_says_what_was_measured() -> None:
    assert {block["name"] for block in BLOCK.finditer(CARD)} == set(TABLES)
    assert render(CARD, EVALUATION) == CARD


def test_the_confusion_matrix_adds_up() -> None:
    clean = EVALUATION["conditions"]["clean"]
    matrix = EVALUATION["confusion"]
    assert sum(map(sum, matrix)) == clean["clips"]
    assert sum(matrix[index][index] for index in range(len(LABELS))) == clean["named"]
    assert sum(voice["right"] for voice in EVALUATION["voices"]) == clean["right"]


def test_the_accuracy_is_what_a_demo_needs() -> None:
    """A retrained model that falls below is not committed by accident."""
    accuracy = {name: row["accuracy"] for name, row in EVALUATION["conditions"].items()}
    assert accuracy["clean"] >= 0.97
    assert min(accuracy.values()) >= 0.90


def _size(path: Path) -> int:
    return path.stat().st_size
