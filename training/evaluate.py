"""Held-out clips → ``evaluation.json``: accuracy, confusion matrix, recording conditions, and what strangers get.

    python -m training.evaluate [--model models/demo] [--strangers FOLDER]

Every clip is answered as the reference does it: alone, unpadded, no mask, in float32, whole unless it says so.
"""

import argparse
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from training import MODEL_DIR, SAMPLE_RATE, WORK_DIR
from training.codecs import gsm, mp3, mu_law, opus, telephone, vorbis
from training.corpus import Clip, Corpus, load, prompts
from training.split import SPLITS
from training.voices import LABELS, VOICES
from training.waveform import Waveform, decode, resample

MIN_SECONDS = 1.5  # shorter clips are reported apart
CROP = 2 * SAMPLE_RATE
PROBE_SECONDS = 3
NOISE_PROBES = 20
CONFIDENT = 0.9

Probabilities = npt.NDArray[np.float32]  # [labels], or [clips, labels]


def middle(waveform: Waveform) -> Waveform:
    """The middle two seconds; a shorter clip as it is."""
    start = max(0, len(waveform) - CROP) // 2
    return waveform[start : start + CROP]


CONDITIONS: dict[str, Callable[[Waveform], Waveform]] = {
    "clean": lambda waveform: waveform,
    "8 kHz": telephone,
    "µ-law, 8 kHz": mu_law,
    "GSM, 8 kHz": gsm,  # the only codec here that training never applies
    "MP3, 32 kbit/s": lambda waveform: mp3(waveform, 32_000),
    "Vorbis, quality 0.3": lambda waveform: vorbis(waveform, 0.3),
    "Opus, 16 kbit/s": lambda waveform: opus(waveform, 16_000),
    "middle 2 s": middle,
}


class Reference:
    """The checkpoint in ``folder``, run by plain transformers."""

    def __init__(self, folder: Path) -> None:
        self._extract = Wav2Vec2FeatureExtractor.from_pretrained(folder)
        self._model = Wav2Vec2ForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
        self.labels = tuple(
            self._model.config.id2label[index] for index in range(self._model.config.num_labels)
        )

    @torch.inference_mode()
    def __call__(self, waveform: Waveform) -> Probabilities:
        """float32 [samples] at 16 kHz → softmax over the labels."""
        inputs = self._extract(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        logits = self._model(inputs.input_values).logits[0]
        return np.asarray(logits.softmax(0).numpy(), np.float32)


def held_out(reference: Reference, corpus: Corpus) -> dict[str, Probabilities]:
    """The answers [clips, labels] to the test clips of 1.5 s and more, by condition."""
    clips = corpus.select("test", MIN_SECONDS)
    return {
        name: np.stack(
            [reference(change(corpus.waveform(clip))) for clip in track(clips, name, transient=True)]
        )
        for name, change in CONDITIONS.items()
    }


def size(clips: Sequence[Clip]) -> dict[str, Any]:
    return {"clips": len(clips), "minutes": round(sum(clip.seconds for clip in clips) / 60, 1)}


def accuracy(answers: Probabilities, clips: Sequence[Clip]) -> dict[str, Any]:
    """Clips, right answers, their share, and the median probability of the answer, right or wrong."""
    right = sum(
        LABELS[best] == clip.voice.speaker for best, clip in zip(answers.argmax(1), clips, strict=True)
    )
    return {
        "clips": len(clips),
        "right": right,
        "accuracy": round(right / len(clips), 4),
        "median_top_probability": round(float(np.median(answers.max(1))), 3),
    }


def confusion(answers: Probabilities, clips: Sequence[Clip]) -> list[list[int]]:
    """Counts; a row a true speaker, a column an answer, both in the order of ``LABELS``."""
    counts = np.zeros((len(LABELS), len(LABELS)), int)
    for best, clip in zip(answers.argmax(1), clips, strict=True):
        counts[LABELS.index(clip.voice.speaker), best] += 1
    return [[int(count) for count in row] for row in counts]


def by_voice(answers: Probabilities, clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """Accuracy a folder of prompts: a speaker and a language."""
    rows = []
    for voice in VOICES:
        mine = [index for index, clip in enumerate(clips) if clip.voice == voice]
        result = accuracy(answers[mine], [clips[index] for index in mine])
        rows.append({"speaker": voice.speaker, "language": voice.language, **result})
    return rows


def outsiders(corpus: Corpus, strangers: Path | None) -> dict[str, list[Waveform]]:
    """Sounds of none of the speakers, by name. None has a right answer."""
    rng = np.random.default_rng(0)
    length = PROBE_SECONDS * SAMPLE_RATE
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    clips = [corpus.waveform(clip) for clip in corpus.select("test", MIN_SECONDS)]
    probes = {
        "digital silence": [np.zeros(length, np.float32)],
        "white noise": [0.1 * rng.standard_normal(length, np.float32) for _ in range(NOISE_PROBES)],
        "pure tones, 100–2000 Hz": [np.sin(2 * np.pi * hz * time) for hz in (100, 220, 440, 1000, 2000)],
        # At another speed a voice is another person's: pitch and vocal tract both change.
        "test clips, 25 % faster": [resample(waveform, 20_000) for waveform in clips],
        "test clips, 20 % slower": [resample(waveform, 12_800) for waveform in clips],
    }
    if strangers:
        voices = [resample(*decode(path)) for _, path in prompts(strangers)]
        probes["strangers"] = [voice for voice in voices if len(voice) >= MIN_SECONDS * SAMPLE_RATE]
    return probes


def confidence(answers: Probabilities) -> dict[str, Any]:
    """The usual answer to a sound without a right answer, and how certain it is."""
    label, times = Counter(answers.argmax(1).tolist()).most_common(1)[0]
    return {
        "clips": len(answers),
        "usual_answer": LABELS[label],
        "usual_answer_share": round(times / len(answers), 3),
        "median_top_probability": round(float(np.median(answers.max(1))), 3),
        "confident_share": round(float((answers.max(1) >= CONFIDENT).mean()), 3),
    }


def evaluate(corpus: Corpus, model: Path, work: Path, strangers: Path | None = None) -> dict[str, Any]:
    """Writes ``evaluation.json`` beside the model and, clip by clip, ``predictions.csv`` in ``work``."""
    reference = Reference(model)
    assert reference.labels == LABELS
    clips = corpus.select("test", MIN_SECONDS)
    short = [clip for clip in corpus.select("test") if clip.seconds < MIN_SECONDS]
    answers = held_out(reference, corpus)
    short_answers = np.stack([reference(corpus.waveform(clip)) for clip in short])
    outside = {
        name: confidence(np.stack([reference(sound) for sound in track(sounds, name, transient=True)]))
        for name, sounds in outsiders(corpus, strangers).items()
    }
    result = {
        "model_sha256": hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest(),
        "labels": list(LABELS),
        "corpus": {split: size(corpus.select(split)) for split in SPLITS},
        "min_seconds": MIN_SECONDS,
        "conditions": {name: accuracy(answer, clips) for name, answer in answers.items()},
        "voices": by_voice(answers["clean"], clips),
        "confusion": confusion(answers["clean"], clips),
        "short_clips": accuracy(short_answers, short),
        "outside": outside,
    }
    (model / "evaluation.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    _save_predictions(answers, clips, work)
    return result


def _save_predictions(answers: dict[str, Probabilities], clips: Sequence[Clip], work: Path) -> None:
    with (work / "predictions.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["folder", "prompt", "condition", "answer", "speaker_probability"])
        for condition, answer in answers.items():
            for clip, scores in zip(clips, answer, strict=True):
                own = scores[LABELS.index(clip.voice.speaker)]
                row = clip.voice.folder, clip.prompt, condition, LABELS[int(scores.argmax())], f"{own:.6f}"
                rows.writerow(row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--strangers", type=Path, help="folder of recordings of people the model never heard")
    options = parser.parse_args()
    report = evaluate(load(options.work), options.model, options.work, options.strangers)
    print(
        json.dumps({name: row["accuracy"] for name, row in report["conditions"].items()}, ensure_ascii=False)
    )
