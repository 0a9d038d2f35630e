"""Clips of the named voices and of other people → guards of two heads, speaker and language: "unknown".

    python -m training.guard [--model models/demo]

The named voices' clips are of the validation split: means of clips that trained would lie too close together for new
ones. The others are the calibration people and those who train: the speaker head never learned to name them, and nine
people are too few to say what a stranger is like. Each is compared with the rest. Everybody is heard through a
telephone too, or a narrow band by itself would be a stranger.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from bundle import archive
from bundle.enrolment import report
from bundle.enrolment.classifier import Classifier
from bundle.enrolment.guarding import Answered, Guarding, Heard, calibrate
from bundle.enrolment.sounds import sounds
from bundle.sources import read_spec
from bundle.spec import ModelSpec, guard_file
from training import MODEL_DIR, SAMPLE_RATE, WORK_DIR, corpus, people_corpus
from training.codecs import telephone
from training.corpus import Clip, Corpus
from training.people import CALIBRATION, TRAIN, Person
from training.waveform import Waveform

HEAD = "speaker"
RATES = (0.01, 0.02, 0.05, 0.07, 0.1)  # of strangers' clips that may be named, which model.yaml's is one of
LABEL: dict[str, Callable[[Clip], str]] = {
    HEAD: lambda clip: clip.voice.speaker,
    "language": lambda clip: clip.voice.language,  # of the six: that of a stranger is unknown
}


def answered(head: Classifier, people: Iterable[str], waveforms: Iterable[Waveform]) -> Answered:
    logits, embeddings = zip(*map(head, waveforms), strict=True)
    return Answered(tuple(people), torch.stack(logits), torch.stack(embeddings))


def heard(head: Classifier, source: Corpus, clips: list[Clip], named: Callable[[Clip], str]) -> Answered:
    """Clips as recorded, and through a telephone."""
    people = list(map(named, clips))
    waveforms = [source.waveform(clip) for clip in clips]
    return answered(head, people * 2, [*waveforms, *map(telephone, waveforms)])


def person(clip: Clip) -> str:
    assert isinstance(clip.voice, Person)
    return clip.voice.key


def build(model: Path, work: Path) -> dict[str, Guarding]:
    """Writes the guards beside the model's model.yaml, which says by what method and at what rate each decides."""
    spec = read_spec(model)
    folder = archive.prepare(spec.without_guards())
    return {name: _of_head(spec, Classifier(folder, name), name, model, work) for name in LABEL}


def _of_head(spec: ModelSpec, head: Classifier, name: str, model: Path, work: Path) -> Guarding:
    unknown = spec.heads[name].unknown
    assert unknown is not None
    without_voice = list(sounds(SAMPLE_RATE))
    voices, others = corpus.load(work), people_corpus.load(work)
    strangers = [clip for role in (CALIBRATION, TRAIN) for clip in people_corpus.spread(others.select(role))]
    answers = Heard(
        heard(head, voices, voices.select("validation"), LABEL[name]),
        heard(head, others, strangers, person),
        answered(head, [""] * len(without_voice), without_voice),
    )
    found = {rate: calibrate(answers, head.labels, head.maker, rate) for rate in {unknown.fpir, *RATES}}
    found[unknown.fpir].guard.write(model / guard_file(name))
    for rate in sorted(found):
        print(f"{name}, fpir {rate:g}")
        for line in report.of_guard(found[rate], rate, len(without_voice)):
            print(line)
    return found[unknown.fpir]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    arguments = parser.parse_args()
    build(arguments.model, arguments.work)
