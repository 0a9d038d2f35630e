"""Everybody's clips → the language head again, on the backbone as it is, each person counting alike.

    python -m training.language [--model models/demo]

A linear map of the mean hidden states, which is all that the head's layout allows: with ``joint`` the head had learned
voices. What is measured of it goes into ``evaluation.json``: twenty people are too few to learn a language from, so it
is the language of the six named voices, and the figure for people never heard stands beside.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Wav2Vec2ForSequenceClassification

from bundle.enrolment.intervals import by_person
from training import MODEL_DIR, SAMPLE_RATE, WORK_DIR, corpus, people_corpus
from training.augment import augment
from training.batches import normalise
from training.corpus import Clip, Corpus
from training.heads import LANGUAGES, classifier, save_own
from training.people import HELD_OUT
from training.variants import load_variants
from training.waveform import Waveform, to_float

CUT = 3 * SAMPLE_RATE
CUTS = 40  # of a person, language and kind
BATCH = 8
SHRINKAGE = 1e-3  # of the weights' squares
MIN_SECONDS = 1.5  # of a clip that is measured on


@dataclass(frozen=True)
class States:
    """Mean hidden states of clips: [clips, layers, hidden], with each clip's person, language and kind."""

    values: Tensor
    people: np.ndarray[Any, np.dtype[np.str_]]
    languages: Tensor
    kinds: np.ndarray[Any, np.dtype[np.str_]]

    def only(self, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> "States":
        return States(self.values[rows], self.people[rows], self.languages[rows], self.kinds[rows])


Row = tuple[Waveform, str, str, str]  # samples, person, language, kind


def training_rows(work: Path, seed: int) -> Iterator[Row]:
    """Cuts of everybody who trains in one of the languages: as recorded, through a telephone, and augmented."""
    rng = torch.Generator().manual_seed(seed)
    for source, folder in (
        (corpus.load(work), work),
        (people_corpus.load(work), work / people_corpus.FOLDER),
    ):
        variants = load_variants(source, folder, ("telephone",))
        for (person, language), clips in _of_each(source.select("train")):
            for kind, samples in variants.items():
                joined = np.concatenate([to_float(samples[c.offset : c.offset + c.length]) for c in clips])
                for cut in _cuts(joined):
                    yield cut, person, language, kind
                    if kind == "original":
                        changed = augment(torch.from_numpy(cut)[None], rng)[0]
                        yield np.asarray(changed.numpy()), person, language, "augmented"


def _of_each(clips: Iterable[Clip]) -> list[tuple[tuple[str, str], list[Clip]]]:
    found: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        if clip.voice.language in LANGUAGES:
            found.setdefault((clip.voice.speaker, clip.voice.language), []).append(clip)
    return list(found.items())


def _cuts(samples: Waveform) -> Iterator[Waveform]:
    count = len(samples) // CUT
    for index in sorted({int(place) for place in np.linspace(0, count - 1, min(count, CUTS))}):
        yield samples[index * CUT : (index + 1) * CUT]


def whole(source: Corpus, split: str) -> list[Row]:
    """A split's clips in one of the languages."""
    clips = [clip for clip in source.select(split, MIN_SECONDS) if clip.voice.language in LANGUAGES]
    return [(source.waveform(c), c.voice.speaker, c.voice.language, split) for c in clips]


@torch.no_grad()
def states(backbone: nn.Module, rows: list[Row]) -> States:
    """Neighbours of one length are a batch, so nothing is padded."""
    found = []
    for _, alike in groupby(rows, lambda row: len(row[0])):
        for waveforms in torch.split(torch.from_numpy(np.stack([row[0] for row in alike])), BATCH):
            hidden = backbone(normalise(waveforms), output_hidden_states=True).hidden_states
            found.append(torch.stack([layer.mean(1) for layer in hidden], 1))
    _, people, languages, kinds = zip(*rows, strict=True)
    indices = torch.tensor([LANGUAGES.index(language) for language in languages])
    return States(torch.cat(found), np.array(people), indices, np.array(kinds))


def fitted(heard: States) -> Wav2Vec2ForSequenceClassification:
    """The head whose loss is least, each language counting alike, and in it each person."""
    weights = torch.zeros(len(heard.people))
    languages = heard.languages.numpy()
    for language in np.unique(languages):
        of = np.unique(heard.people[languages == language])
        for person in of:
            mine = (heard.people == person) & (languages == language)
            weights[mine] = 1 / (len(of) * mine.sum())
    weights /= weights.sum()
    means, deviations = heard.values.mean((0, 1)), heard.values.std((0, 1))
    layers = torch.zeros(heard.values.shape[1], requires_grad=True)
    matrix = torch.zeros(len(LANGUAGES), heard.values.shape[2], requires_grad=True)
    bias = torch.zeros(len(LANGUAGES), requires_grad=True)
    optimizer = torch.optim.LBFGS([layers, matrix, bias], max_iter=300, line_search_fn="strong_wolfe")
    values = (heard.values - means) / deviations

    def loss() -> Tensor:
        optimizer.zero_grad()
        mixed = (values * layers.softmax(0)[:, None]).sum(1)
        costs = functional.cross_entropy(mixed @ matrix.T + bias, heard.languages, reduction="none")
        total = (weights * costs).sum() + SHRINKAGE * matrix.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    head = classifier(LANGUAGES)
    with torch.no_grad():
        head.layer_weights.copy_(layers)
        head.projector.weight.copy_(torch.diag(1 / deviations))
        head.projector.bias.copy_(-means / deviations)
        head.classifier.weight.copy_(matrix)
        head.classifier.bias.copy_(bias)
    return head


@torch.inference_mode()
def right(head: Wav2Vec2ForSequenceClassification, heard: States) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mixed = (heard.values * head.layer_weights.softmax(0)[:, None]).sum(1)
    answers = head.classifier(head.projector(mixed)).argmax(1)
    return np.asarray((answers == heard.languages).numpy())


def measured(found: np.ndarray[Any, np.dtype[np.bool_]], heard: States) -> dict[str, Any]:
    """Right answers, and their share where each person counts alike, with an interval over people."""
    people, inverse, counts = np.unique(heard.people, return_inverse=True, return_counts=True)
    each = by_person(
        [list(heard.people)],
        lambda rows: float(np.average(found[rows], weights=1 / counts[inverse[rows]])),
    )
    share = {name: round(getattr(each, name), 4) for name in ("value", "low", "high")}
    return {"people": len(people), "clips": len(found), "right": int(found.sum()), "accuracy": share}


def left_out(heard: States) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], States]:
    """Recordings of each person who trains, by a head that was fitted to the others."""
    found = np.zeros(len(heard.people), bool)
    for person in np.unique(heard.people):
        mine = heard.people == person
        found[mine] = right(fitted(heard.only(~mine)), heard.only(mine))
    clean = heard.kinds == "original"
    return found[clean], heard.only(clean)


def fit(model: Path, work: Path, seed: int = 0) -> dict[str, Any]:
    """Replaces the language head of ``model``, and what its ``evaluation.json`` says of it."""
    backbone = Wav2Vec2ForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval().wav2vec2
    heard = states(backbone, list(training_rows(work, seed)))
    head = fitted(heard)
    save_own(head, model / "language")
    named = states(backbone, whole(corpus.load(work), "test"))
    others = states(backbone, whole(people_corpus.load(work), HELD_OUT))
    report = {
        "chance": 1 / len(LANGUAGES),
        "measured": {
            "the six named voices, held out": measured(right(head, named), named),
            "people who train, each left out of the head's": measured(*left_out(heard)),
            "people never heard": measured(right(head, others), others),
        },
    }
    file = model / "evaluation.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**kept, "language": report}, indent=2, ensure_ascii=False) + "\n")
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(fit(arguments.model, arguments.work, arguments.seed)["measured"], indent=2))
