"""Held-out clips → the sample clips committed with the model, a stranger's beside them, and their manifests.

    python -m training.samples

The choice is a rule, not a taste. From every folder of prompts, two clips of 2–5 s that are answered right under
every condition of the evaluation and with the guard, drawn by hash; and from two speakers the hardest that is still
right, so that the samples do not look easier than the task. The stranger's is the first by hash of those clips of
``STRANGER`` that the guard calls unknown; the card says how many it does not.
"""

import csv
import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import soundfile
from speaker_id.calibrated import UNKNOWN

from training import MODEL_DIR, SAMPLE_RATE, WORK_DIR, people_corpus
from training.corpus import Clip, Corpus, load
from training.evaluate import GUARDED, Reference, closed
from training.people import HELD_OUT
from training.voices import LABELS, VOICES
from training.waveform import decode, resample

MIN_SECONDS = 2.0
MAX_SECONDS = 5.0
PER_FOLDER = 2
HARD = 2
STRANGER = "asterisk-es-co"  # of the people held out, the one who recorded telephone prompts, as the six did
HARD_MIN_PROBABILITY = 0.6  # a sample's answer must survive another decoder or lower precision
COLUMNS = ("clip", "speaker", "language", "seconds", "prompt", "package", "licence")

Scores = dict[tuple[str, str], dict[str, float]]  # (folder, prompt) → condition → probability, 0 when wrong


def read_scores(work: Path) -> Scores:
    """The evaluation's ``predictions.csv``: the speaker's own probability, 0.0 where the answer was another speaker."""
    scores: Scores = defaultdict(dict)
    speaker_of = {voice.folder: voice.speaker for voice in VOICES}
    with (work / "predictions.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            right = row["answer"] == speaker_of[row["folder"]]
            own = float(row["speaker_probability"]) if right else 0.0
            scores[row["folder"], row["prompt"]][row["condition"]] = own
    return scores


def choose(corpus: Corpus, scores: Scores) -> tuple[list[Clip], list[Clip]]:
    """The (easy, hard) test clips, by the rule above."""
    fitting = [clip for clip in corpus.select("test", MIN_SECONDS) if clip.seconds <= MAX_SECONDS]
    fitting.sort(key=lambda clip: hashlib.sha256(f"{clip.voice.folder}/{clip.prompt}".encode()).digest())

    def probability(clip: Clip, condition: str = GUARDED) -> float:
        return scores[clip.voice.folder, clip.prompt][condition]

    easy = []
    for voice in VOICES:
        robust = [
            c for c in fitting if c.voice == voice and min(scores[voice.folder, c.prompt].values()) > 0.5
        ]
        easy += robust[:PER_FOLDER]
    others = [clip for clip in fitting if clip not in easy and probability(clip) >= HARD_MIN_PROBABILITY]
    hardest: dict[str, Clip] = {}  # of each speaker, so that one voice does not provide them all
    for clip in sorted(others, key=probability):
        hardest.setdefault(clip.voice.speaker, clip)
    return easy, list(hardest.values())[:HARD]


def write(clips: list[Clip], corpus: Corpus, folder: Path) -> list[str]:
    """Writes ``clips`` as 16-bit FLAC at the rate they were recorded at; their file names."""
    names = []
    for clip in clips:
        voice = clip.voice
        name = f"{voice.speaker}-{voice.language}-{clip.prompt.replace('/', '-').replace('_', '-')}.flac"
        waveform = resample(corpus.waveform(clip), SAMPLE_RATE, voice.sample_rate)
        soundfile.write(folder / name, waveform, voice.sample_rate, subtype="PCM_16")
        names.append(name)
    return names


def manifest_row(name: str, clip: Clip) -> dict[str, str]:
    voice = clip.voice
    values = (
        name,
        voice.speaker,
        voice.language,
        f"{clip.seconds:.2f}",
        clip.prompt,
        voice.package,
        voice.licence,
    )
    return dict(zip(COLUMNS, values, strict=True))


def replace(folder: Path, clips: list[Clip], corpus: Corpus, **row: str) -> list[str]:
    """Replaces a folder's clips and manifest, whose rows have the values of ``row``; the clips' file names."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.flac"):
        stale.unlink()
    names = write(clips, corpus, folder)
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(manifest_row(name, clip) | row for name, clip in zip(names, clips, strict=True))
    return names


def stranger(people: Corpus, reference: Reference, folder: Path) -> dict[str, Any]:
    """Replaces the folder of the stranger's clip; how it is answered, and the stranger's others."""
    clips = [clip for clip in people.select(HELD_OUT, MIN_SECONDS) if clip.voice.speaker == STRANGER]
    clips.sort(key=lambda clip: hashlib.sha256(clip.prompt.encode()).digest())
    answers = [reference(people.waveform(clip)) for clip in clips]
    unknown = [clip for clip, answer in zip(clips, answers, strict=True) if answer.argmax() == len(LABELS)]
    (name,) = replace(folder, [next(c for c in unknown if c.seconds <= MAX_SECONDS)], people, speaker=UNKNOWN)
    scores = reference(resample(*decode(folder / name)))
    return {
        "clip": name,
        "probability": round(float(scores[-1]), 3),
        "clips": len(clips),
        "unknown": len(unknown),
    }


def build(corpus: Corpus, people: Corpus, model: Path, work: Path) -> None:
    """Replaces ``samples`` and ``strangers`` beside the model; notes in ``evaluation.json`` how each is answered."""
    folder = model / "samples"
    easy, hard = choose(corpus, read_scores(work))
    chosen = sorted(easy + hard, key=lambda clip: (clip.voice.speaker, clip.voice.language, clip.prompt))
    names = replace(folder, chosen, corpus)

    reference = Reference(model)
    report: dict[str, Any] = json.loads((model / "evaluation.json").read_text())
    report["samples"] = []
    report["stranger"] = stranger(people, reference, model / "strangers")
    for name, clip in zip(names, chosen, strict=True):
        waveform, index = resample(*decode(folder / name)), LABELS.index(clip.voice.speaker)
        own, guarded = (
            round(float(scores[index]), 3)
            for answer in [reference(waveform)]
            for scores in (closed(answer), answer)
        )
        report["samples"].append({"clip": name, "probability": own, "guarded": guarded, "hard": clip in hard})
    (model / "evaluation.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    build(load(WORK_DIR), people_corpus.load(WORK_DIR), MODEL_DIR, WORK_DIR)
