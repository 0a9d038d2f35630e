"""Corpus → an endless stream of training batches: balanced over speakers, cropped, augmented, normalised."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from training import SAMPLE_RATE
from training.augment import augment
from training.corpus import Clip, Corpus
from training.voices import LABELS
from training.waveform import Pcm, Waveform, to_float

CROP_SECONDS = (1.5, 2.0, 2.0, 2.5, 3.0, 4.0)
VARIANT_SHARES = {"original": 0.30, "telephone": 0.20, "amr": 0.12, "mu_law": 0.12, "mp3": 0.13, "ogg": 0.13}
LOUD_ENOUGH = 0.5  # of the clip's mean magnitude: a crop below it is mostly a pause
CROP_TRIES = 4
EPSILON = 1e-7  # as Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm has it


class Batches:
    """Draws batches from the training split; the same seed gives the same batches."""

    def __init__(self, corpus: Corpus, variants: dict[str, Pcm], audio_seconds: float, seed: int) -> None:
        self._variants = variants
        self._audio_seconds = audio_seconds
        self._rng = np.random.default_rng(seed)
        self._torch_rng = torch.Generator().manual_seed(seed)
        # A speaker's folders alternate, so that Allison's Spanish is used as often as her English.
        self._clips: list[list[list[Clip]]] = [_by_folder(corpus, label) for label in LABELS]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (float32 [batch, samples] normalised, int64 [batch] labels) without end."""
        while True:
            length = int(SAMPLE_RATE * self._rng.choice(CROP_SECONDS))
            repeats = max(1, int(self._audio_seconds * SAMPLE_RATE / length) // len(LABELS))
            labels = np.tile(np.arange(len(LABELS)), repeats)
            crops = np.stack([self._utterance(label, length) for label in labels])
            yield normalise(augment(torch.from_numpy(crops), self._torch_rng)), torch.from_numpy(labels)

    def _utterance(self, label: int, length: int) -> Waveform:
        """``length`` samples of one speaker through one codec: a crop, or short prompts one after another."""
        folders = self._clips[label]
        clips = folders[self._rng.integers(len(folders))]
        # Longer prompts hold more different crops, but not in proportion to their length.
        weights = np.sqrt([min(clip.seconds, CROP_SECONDS[-1]) for clip in clips])
        variant = self._variants[self._rng.choice(list(VARIANT_SHARES), p=list(VARIANT_SHARES.values()))]
        parts: list[Waveform] = []
        missing = length
        while missing > 0:
            clip = clips[self._rng.choice(len(clips), p=weights / weights.sum())]
            whole = to_float(variant[clip.offset : clip.offset + clip.length])
            part = self._crop(whole, missing) if len(whole) > missing else whole
            parts.append(part / (np.abs(part).max() + 1e-4))  # joined prompts should be about as loud
            missing -= len(part)
        return np.concatenate(parts)

    def _crop(self, whole: Waveform, length: int) -> Waveform:
        """A random crop of ``length`` samples that is not mostly pause, if a few tries find one."""
        enough = LOUD_ENOUGH * np.abs(whole).mean()
        for _ in range(CROP_TRIES):
            start = self._rng.integers(len(whole) - length + 1)
            crop = whole[start : start + length]
            if np.abs(crop).mean() > enough:
                break
        return crop


def normalise(waveforms: Tensor) -> Tensor:
    """[batch, samples] → zero mean, unit variance a row, exactly as the feature extractor serves it."""
    centred = waveforms - waveforms.mean(dim=1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + EPSILON)


def _by_folder(corpus: Corpus, label: str) -> list[list[Clip]]:
    clips = [clip for clip in corpus.select("train") if clip.voice.speaker == label]
    folders = sorted({clip.voice.folder for clip in clips})
    return [[clip for clip in clips if clip.voice.folder == folder] for folder in folders]
