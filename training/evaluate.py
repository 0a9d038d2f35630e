"""Held-out clips → ``evaluation.json``: accuracy, confusion matrix, recording conditions, and what strangers get.

    python -m training.evaluate [--model models/demo]

Every clip is answered as the reference does it: alone, unpadded, no mask, in float32, whole unless it says so; by the
speaker head's six labels, and where it says so with its guard, which adds "unknown". What is known of the language head
stays as ``language`` wrote it.
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
from speaker_id.calibrated import UNKNOWN
from speaker_id.guard import Guard, Guarded
from torch import Tensor
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from bundle.enrolment.intervals import Interval, by_person
from bundle.sources import read_spec
from bundle.spec import guard_file
from training import MODEL_DIR, SAMPLE_RATE, WORK_DIR, people_corpus
from training.codecs import gsm, mp3, mu_law, opus, telephone, vorbis
from training.corpus import Clip, Corpus, load
from training.guard import HEAD, RATES
from training.people import HELD_OUT, Person
from training.split import SPLITS
from training.voices import LABELS, VOICES
from training.waveform import Waveform, resample

MIN_SECONDS = 1.5  # shorter clips are reported apart
CROP = 2 * SAMPLE_RATE
PROBE_SECONDS = 3
NOISE_PROBES = 20
TONES_HZ = (300, *np.geomspace(60, 4000, 60, dtype=np.float32))  # other ones than guards are made from
CONFIDENT = 0.9
GUARDED = "with unknown"  # a column of predictions.csv

Probabilities = npt.NDArray[np.float32]  # [labels + 1], the last "unknown"; or [clips, labels + 1]


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
    """The speaker head in ``folder``, run by plain transformers; and its guard beside it."""

    def __init__(self, folder: Path) -> None:
        self._extract = Wav2Vec2FeatureExtractor.from_pretrained(folder)
        self._model = Wav2Vec2ForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
        self.labels = tuple(
            self._model.config.id2label[index] for index in range(self._model.config.num_labels)
        )
        self._projected: list[Tensor] = []
        self._model.projector.register_forward_hook(lambda *args: self._projected.append(args[2]))
        unknown = read_spec(folder).heads[HEAD].unknown
        assert unknown is not None
        guard = Guard.read(folder / guard_file(HEAD))
        self.fpir = unknown.fpir
        self._guarded = Guarded(guard, (*self.labels, UNKNOWN), unknown.method, unknown.fpir)

    def __call__(self, waveform: Waveform, *rates: float) -> Probabilities:
        """float32 [samples] at 16 kHz → softmax over the labels and "unknown"; [rates, …] where rates are given."""
        logits, pooled = self._heard(waveform)
        rows = [self._guarded.logits(logits, pooled, fpir=rate) for rate in rates or (self.fpir,)]
        found = np.asarray(torch.cat(rows).softmax(1).numpy(), np.float32)
        return found if rates else found[0]

    @torch.inference_mode()
    def _heard(self, waveform: Waveform) -> tuple[Tensor, Tensor]:
        """Logits (1, labels), and the head's own embedding, (1, width)."""
        inputs = self._extract(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        self._projected.clear()
        logits: Tensor = self._model(inputs.input_values).logits
        return logits, self._projected[0].mean(1)


def held_out(reference: Reference, corpus: Corpus) -> dict[str, Probabilities]:
    """The answers [clips, labels + 1] to the test clips of 1.5 s and more, by condition."""
    clips = corpus.select("test", MIN_SECONDS)
    return {
        name: np.stack(
            [reference(change(corpus.waveform(clip))) for clip in track(clips, name, transient=True)]
        )
        for name, change in CONDITIONS.items()
    }


def size(clips: Sequence[Clip]) -> dict[str, Any]:
    return {"clips": len(clips), "minutes": round(sum(clip.seconds for clip in clips) / 60, 1)}


def closed(answers: Probabilities) -> Probabilities:
    """The same over the labels alone, which "unknown" leaves in their ratios."""
    known = answers[..., :-1]
    return np.asarray(known / known.sum(-1, keepdims=True), np.float32)


def accuracy(answers: Probabilities, clips: Sequence[Clip]) -> dict[str, Any]:
    """Of the labels alone: clips, right answers, their share, and the median probability of the answer, right or wrong.
    And clips that are rightly named where "unknown" may be answered."""
    owners = np.array([LABELS.index(clip.voice.speaker) for clip in clips])
    right = int((closed(answers).argmax(1) == owners).sum())
    return {
        "clips": len(clips),
        "right": right,
        "accuracy": round(right / len(clips), 4),
        "median_top_probability": round(float(np.median(closed(answers).max(1))), 3),
        "named": int((answers.argmax(1) == owners).sum()),
    }


def confusion(answers: Probabilities, clips: Sequence[Clip]) -> list[list[int]]:
    """Counts; a row a true speaker, a column an answer, both in the order of ``LABELS``; the last column "unknown"."""
    counts = np.zeros((len(LABELS), len(LABELS) + 1), int)
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


def outsiders(corpus: Corpus, people: Corpus) -> dict[str, list[Waveform]]:
    """Sounds of none of the speakers, by name. None has a right answer."""
    rng = np.random.default_rng(0)
    length = PROBE_SECONDS * SAMPLE_RATE
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    clips = [corpus.waveform(clip) for clip in corpus.select("test", MIN_SECONDS)]
    probes = {
        "digital silence": [np.zeros(length, np.float32)],
        "white noise": [0.1 * rng.standard_normal(length, np.float32) for _ in range(NOISE_PROBES)],
        "pure tones, 60–4000 Hz": [np.sin(2 * np.pi * hz * time) for hz in TONES_HZ],
        # At another speed a voice is another person's: pitch and vocal tract both change.
        "test clips, 25 % faster": [resample(waveform, 20_000) for waveform in clips],
        "test clips, 20 % slower": [resample(waveform, 12_800) for waveform in clips],
    }
    probes["people never heard"] = [people.waveform(clip) for clip in strangers(people)]
    return probes


def strangers(people: Corpus) -> list[Clip]:
    """Clips of the people held out."""
    return people_corpus.spread(people.select(HELD_OUT, MIN_SECONDS))


def unknown(reference: Reference, corpus: Corpus, people: Corpus) -> dict[str, Any]:
    """What the guard costs the six, and whom it stops, at several rates."""
    clips, others = corpus.select("test", MIN_SECONDS), strangers(people)
    mine = np.stack([reference(corpus.waveform(clip), *RATES) for clip in track(clips, transient=True)])
    theirs = np.stack([reference(people.waveform(clip), *RATES) for clip in track(others, transient=True)])
    owners = np.array([LABELS.index(clip.voice.speaker) for clip in clips])
    keys = [clip.voice.key if isinstance(clip.voice, Person) else "" for clip in others]
    rows = []
    for index, rate in enumerate(RATES):
        named = theirs[:, index].argmax(1) < len(LABELS)
        found = by_person([keys], lambda rows, named=named: float(named[rows].mean()))
        right = int((mine[:, index].argmax(1) == owners).sum())
        rows.append({"fpir": rate, "clips": len(clips), "named": right, "strangers": _rounded(found)})
    return {
        "fpir": reference.fpir,
        "people": len({clip.voice.speaker for clip in others}),
        "different_people": len(set(keys)),
        "stranger_clips": len(others),
        "rates": rows,
    }


def _rounded(found: Interval) -> dict[str, float]:
    return {name: round(getattr(found, name), 4) for name in ("value", "low", "high")}


def confidence(answers: Probabilities) -> dict[str, Any]:
    """Of the labels alone: the usual answer to sounds without a right one, how certain it is; and the share unknown."""
    unknown = float((answers.argmax(1) == len(LABELS)).mean())
    answers = closed(answers)
    label, times = Counter(answers.argmax(1).tolist()).most_common(1)[0]
    return {
        "clips": len(answers),
        "usual_answer": LABELS[label],
        "usual_answer_share": round(times / len(answers), 3),
        "median_top_probability": round(float(np.median(answers.max(1))), 3),
        "confident_share": round(float((answers.max(1) >= CONFIDENT).mean()), 3),
        "unknown_share": round(unknown, 3),
    }


def evaluate(corpus: Corpus, people: Corpus, model: Path, work: Path) -> dict[str, Any]:
    """Writes ``evaluation.json`` beside the model and, clip by clip, ``predictions.csv`` in ``work``."""
    reference = Reference(model)
    assert reference.labels == LABELS
    clips = corpus.select("test", MIN_SECONDS)
    short = [clip for clip in corpus.select("test") if clip.seconds < MIN_SECONDS]
    answers = held_out(reference, corpus)
    short_answers = np.stack([reference(corpus.waveform(clip)) for clip in short])
    outside = {
        name: confidence(np.stack([reference(sound) for sound in track(sounds, name, transient=True)]))
        for name, sounds in outsiders(corpus, people).items()
    }
    kept = json.loads((model / "evaluation.json").read_text())
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
        "unknown": unknown(reference, corpus, people),
        "language": kept["language"],
    }
    (model / "evaluation.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    by_labels = {name: closed(each) for name, each in answers.items()}
    _save_predictions({**by_labels, GUARDED: answers["clean"]}, clips, work)
    return result


def _save_predictions(answers: dict[str, Probabilities], clips: Sequence[Clip], work: Path) -> None:
    with (work / "predictions.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["folder", "prompt", "condition", "answer", "speaker_probability"])
        for condition, answer in answers.items():
            for clip, scores in zip(clips, answer, strict=True):
                own = scores[LABELS.index(clip.voice.speaker)]
                best = (*LABELS, UNKNOWN)[int(scores.argmax())]
                row = clip.voice.folder, clip.prompt, condition, best, f"{own:.6f}"
                rows.writerow(row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    options = parser.parse_args()
    report = evaluate(load(options.work), people_corpus.load(options.work), options.model, options.work)
    print(
        json.dumps({name: row["accuracy"] for name, row in report["conditions"].items()}, ensure_ascii=False)
    )
