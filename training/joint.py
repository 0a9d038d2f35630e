"""The demo's backbone, trained again on everybody, with its three heads: after ``train``, which it starts from.

    python -m training.joint [--start build/training/speaker] [--out models/demo] [--steps 1000]

A run that is interrupted goes on from its last checkpoint. Every person is also heard 15 % faster and slower, as two
more people: pitch and vocal tract both change, and an embedding needs more voices than the packages hold.
"""

import argparse
import copy
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional
from transformers import Wav2Vec2ForSequenceClassification

from training import FIRST_DIR, MODEL_DIR, SAMPLE_RATE, WORK_DIR, corpus, people_corpus
from training.augment import augment
from training.batches import CROP_SECONDS, normalise
from training.corpus import Clip, Corpus
from training.heads import LANGUAGES, Heads, save, whiten
from training.train import BF16, GRADIENT_NORM, LABEL_SMOOTHING, THREADS, WEIGHT_DECAY
from training.variants import load_variants
from training.voices import LABELS
from training.waveform import Pcm, Waveform, resample, to_float

STEPS = 1000
VARIANT_SHARES = {"original": 0.4, "telephone": 0.25, "amr": 0.15, "mu_law": 0.2}
VARIANTS = tuple(VARIANT_SHARES)[1:]
AUDIO_SECONDS = 48.0  # a batch
PEAK_LEARNING_RATE = 1.2e-3
WARM_UP_STEPS = 40
EMA_DECAY = 0.99
MARGIN = 0.2
MARGIN_STEPS = 150  # the margin grows from nothing over these
LANGUAGE_WEIGHT, VOICE_WEIGHT = 0.2, 0.7
NAMED_SHARE = 0.4  # of a batch
SPEEDS = (1.0, 0.87, 1.15)
NAMED_CHANGED = 0.2  # of the named voices' utterances; the others' speeds are equally likely
KEEP_EVERY = 25  # steps between checkpoints
CUTS, CUT_SECONDS = 24, 2.5  # of a person, that the embedding is whitened on
NONE = -100  # cross_entropy's ignore_index


class JointBatches:
    """Draws batches over the named voices and everybody who trains; the same seed gives the same batches."""

    def __init__(self, work: Path, seed: int) -> None:
        named = corpus.load(work)
        others = people_corpus.load(work)
        self._rng = np.random.default_rng(seed)
        self._torch_rng = torch.Generator().manual_seed(seed)
        self._sources: dict[str, tuple[list[list[Clip]], dict[str, Pcm], str]] = {}
        for source, folder in ((named, work), (others, work / people_corpus.FOLDER)):
            variants = load_variants(source, folder, VARIANTS)
            for speaker, clips in _by_speaker(source).items():
                self._sources[speaker] = clips, variants, speaker
        self.people = (*LABELS, *sorted(set(self._sources) - set(LABELS)))
        self._others = self.people[len(LABELS) :]
        seconds = [sum(c.seconds for f in self._sources[name][0] for c in f) for name in self._others]
        weights = np.sqrt(np.minimum(seconds, 120.0))
        self._weights = weights / weights.sum()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yields (float32 [batch, samples] normalised, speaker, language and person labels, int64 [batch])."""
        while True:
            length = int(SAMPLE_RATE * self._rng.choice(CROP_SECONDS))
            size = int(AUDIO_SECONDS * SAMPLE_RATE / length)
            repeats = max(1, int(size * NAMED_SHARE) // len(LABELS))
            others = self._rng.choice(
                self._others, min(size - repeats * len(LABELS), len(self._others)), False, self._weights
            )
            rows = [self._utterance(str(name), length) for name in (*LABELS * repeats, *others)]
            waveforms = augment(torch.from_numpy(np.stack([row[0] for row in rows])), self._torch_rng)
            labels = torch.tensor([row[1:] for row in rows])
            yield normalise(waveforms), labels[:, 0], labels[:, 1], labels[:, 2]

    def cuts(self, name: str) -> Iterator[Waveform]:
        """Up to ``CUTS`` clips of a person as recorded, of ``CUT_SECONDS`` each."""
        folders, variants, _ = self._sources[name]
        size = int(CUT_SECONDS * SAMPLE_RATE)
        for clips in folders:
            joined = [
                to_float(variants["original"][clip.offset : clip.offset + clip.length]) for clip in clips
            ]
            samples = np.concatenate(joined)
            count = len(samples) // size
            for index in sorted(
                {int(place) for place in np.linspace(0, count - 1, min(count, CUTS // len(folders)))}
            ):
                yield samples[index * size : (index + 1) * size]

    def _utterance(self, name: str, length: int) -> tuple[Waveform, int, int, int]:
        """``length`` samples of one person through one codec at one speed, and its three labels."""
        folders, variants, _ = self._sources[name]
        clips = folders[self._rng.integers(len(folders))]
        named = name in LABELS
        changed = (1 - NAMED_CHANGED, NAMED_CHANGED / 2, NAMED_CHANGED / 2) if named else (1 / 3,) * 3
        speed = int(self._rng.choice(len(SPEEDS), p=changed))
        weights = np.sqrt([min(clip.seconds, CROP_SECONDS[-1]) for clip in clips])
        variant = variants[self._rng.choice(list(VARIANT_SHARES), p=list(VARIANT_SHARES.values()))]
        parts: list[Waveform] = []
        missing = needed = math.ceil(length * SPEEDS[speed]) + 8
        while missing > 0:
            clip = clips[self._rng.choice(len(clips), p=weights / weights.sum())]
            whole = to_float(variant[clip.offset : clip.offset + clip.length])
            start = self._rng.integers(max(1, len(whole) - missing + 1))
            part = whole[start : start + missing]
            parts.append(part / (np.abs(part).max() + 1e-4))
            missing -= len(part)
        waveform = np.concatenate(parts)[:needed]
        waveform = resample(waveform, int(SAMPLE_RATE * SPEEDS[speed]))[:length]
        waveform = np.pad(waveform, (0, length - len(waveform)))
        speaker = LABELS.index(name) if named and speed == 0 else NONE
        language = clips[0].voice.language
        return (
            waveform,
            speaker,
            LANGUAGES.index(language) if language in LANGUAGES else NONE,
            self.people.index(name) + speed * len(self.people),
        )


def train(work: Path, start: Path, out: Path, steps: int = STEPS, seed: int = 0) -> Heads:
    """Trains for ``steps``, saves the averaged weights (EMA) as three checkpoints in ``out``, returns them."""
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    console = Console()
    batches = JointBatches(work, seed)
    heads = Heads(tuple(f"{name}@{speed}" for speed in SPEEDS for name in batches.people)).train()
    first = Wav2Vec2ForSequenceClassification.from_pretrained(start, dtype=torch.float32)
    heads.speaker.load_state_dict(first.state_dict())
    average = copy.deepcopy(heads).eval()
    optimizer = _optimizer(heads)
    begin = _resume(work, heads, average, optimizer)
    # Going on draws other batches than an unbroken run would, but none of them twice.
    stream = iter(JointBatches(work, seed + begin) if begin else batches)
    began = time.monotonic()
    running = np.zeros(3)
    for step in range(begin, steps):
        _set_rates(optimizer, step, steps)
        waveforms, speakers, languages, people = next(stream)
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            speaker, language, embedding = heads(waveforms)
        losses = (
            functional.cross_entropy(speaker, speakers, label_smoothing=LABEL_SMOOTHING),
            functional.cross_entropy(language, languages),
            heads.margin_loss(embedding, people, MARGIN * min(1, step / MARGIN_STEPS)),
        )
        loss = losses[0] + LANGUAGE_WEIGHT * losses[1] + VOICE_WEIGHT * losses[2]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(heads.parameters(), GRADIENT_NORM)
        optimizer.step()
        _update_average(average, heads, step)
        running = 0.95 * running + 0.05 * np.array([float(part.detach()) for part in losses])
        if (step + 1) % KEEP_EVERY == 0 or step + 1 == steps:
            _keep(work, heads, average, optimizer, step + 1)
            console.print(f"step {step + 1}: losses {running.round(3)}, {time.monotonic() - began:.0f} s")
    finish(average, batches, out)
    return average


@torch.inference_mode()
def finish(heads: Heads, batches: JointBatches, out: Path) -> None:
    """Whitens the embedding on everybody's training clips, and saves the three checkpoints in ``out``."""
    vectors, people = [], []
    for index, name in enumerate(batches.people):
        for waveform in batches.cuts(name):
            vectors.append(heads(normalise(torch.from_numpy(waveform)[None]))[2])
            people.append(index)
    whiten(heads, torch.cat(vectors), torch.tensor(people))
    save(heads, out)


def _by_speaker(source: Corpus) -> dict[str, list[list[Clip]]]:
    """A speaker's training clips by folder: Allison's Spanish is used as often as her English."""
    folders: dict[tuple[str, str], list[Clip]] = {}
    for clip in source.select("train"):
        folders.setdefault((clip.voice.speaker, clip.voice.folder), []).append(clip)
    speakers: dict[str, list[list[Clip]]] = {}
    for (speaker, _), clips in folders.items():
        speakers.setdefault(speaker, []).append(clips)
    return speakers


def _optimizer(heads: Heads) -> torch.optim.AdamW:
    """Matrices decay, vectors do not; the backbone is trained already and moves at half the pace."""
    groups = []
    for backbone in (True, False):
        for matrices in (True, False):
            weights = [
                weight
                for name, weight in heads.named_parameters()
                if weight.requires_grad and ("wav2vec2" in name) is backbone and (weight.ndim > 1) is matrices
            ]
            decay = WEIGHT_DECAY if matrices else 0.0
            groups.append({"params": weights, "weight_decay": decay, "pace": 0.5 if backbone else 1.0})
    return torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))


def _set_rates(optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    rate = PEAK_LEARNING_RATE * warm_up * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["pace"]


@torch.no_grad()
def _update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    decay = min(EMA_DECAY, (step + 1) / (step + 10))
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)


def _keep(work: Path, heads: Heads, average: Heads, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {
        "step": step,
        "heads": heads.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    partial = work / "joint.partial"
    torch.save(state, partial)
    partial.replace(work / "joint.pt")


def _resume(work: Path, heads: Heads, average: Heads, optimizer: torch.optim.Optimizer) -> int:
    if not (work / "joint.pt").exists():
        return 0
    state = torch.load(work / "joint.pt", weights_only=True)
    heads.load_state_dict(state["heads"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--start", type=Path, default=FIRST_DIR)
    parser.add_argument("--out", type=Path, default=MODEL_DIR)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train(arguments.work, arguments.start, arguments.out, arguments.steps, arguments.seed)
