"""Checks that no recording is on both sides of the split, whatever its names and however it was trimmed.

    python -m training.recordings [--work build/training]

The same take lies in these packages under several names ("seconds" and "queue-seconds"; "dir-intro" starts
with "dir-welcome"), often not bit for bit. With one in training and one in test, the test would be of memory.
What this finds goes into ``training.split.ONE_TAKE``. Minutes, so not a part of every training.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from training import SAMPLE_RATE, WORK_DIR
from training.corpus import Corpus, load
from training.voices import VOICES
from training.waveform import Waveform, resample

RATE = 2_000  # Hz: enough to tell takes apart, an eighth of the work
PROBE = 1_200  # samples at RATE, 0.6 s: the loudest stretch of each prompt is searched in all others
SAME = 0.9  # normalised correlation: same takes measure above 0.95, other takes of the same words below 0.8
FLOOR = 1e-2  # of a full-scale probe's norm: keeps the correlation with near silence near zero


def same_recordings(waveforms: list[Waveform]) -> list[tuple[int, int]]:
    """Pairs of indices whose waveforms (float32, 16 kHz, one voice) share a stretch of 0.6 s."""
    low = [_low(waveform) for waveform in waveforms]
    starts = np.cumsum([0, *(len(part) + PROBE for part in low[:-1])])
    tape = np.concatenate([np.pad(part, (0, PROBE)) for part in low])  # gaps, so no match spans two prompts
    size = 1 << (len(tape) + PROBE).bit_length()
    spectrum = torch.fft.rfft(torch.from_numpy(tape), size)
    power = torch.from_numpy(np.cumsum(np.square(np.pad(tape, (1, PROBE)), dtype=np.float64)))
    norms = (power[PROBE:] - power[:-PROBE]).clamp(min=0).sqrt().float()[: len(tape)] + FLOOR

    pairs: list[tuple[int, int]] = []
    for index in track(range(len(low)), "comparing recordings", transient=True):
        probe = torch.from_numpy(_loudest(low[index]))
        match = torch.fft.irfft(spectrum * torch.fft.rfft(probe, size).conj(), size)[: len(tape)]
        best = np.maximum.reduceat((match / norms / (probe.norm() + FLOOR)).numpy(), starts)
        pairs += [(index, int(other)) for other in np.flatnonzero(best > SAME) if other != index]
    return pairs


def _low(waveform: Waveform) -> Waveform:
    """At 2 kHz and differentiated: mains hum, the same in every prompt, must not dominate."""
    return np.diff(resample(waveform, SAMPLE_RATE, RATE), prepend=np.float32(0))


def _loudest(low: Waveform) -> Waveform:
    """The loudest ``PROBE`` samples; all of a shorter prompt."""
    power = np.cumsum(np.square(np.pad(low, (1, 0)), dtype=np.float64))
    start = int(np.argmax(power[PROBE:] - power[:-PROBE])) if len(low) > PROBE else 0
    return low[start : start + PROBE]


def straddling(corpus: Corpus) -> list[tuple[str, str, str]]:
    """(folder, prompt, prompt) of every recording that is on two sides of the split."""
    found = []
    for voice in VOICES:
        clips = [clip for clip in corpus.clips if clip.voice == voice]
        for one, other in same_recordings([corpus.waveform(clip) for clip in clips]):
            if clips[one].split != clips[other].split:
                found.append((voice.folder, clips[one].prompt, clips[other].prompt))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    found = straddling(load(parser.parse_args().work))
    for folder, one, other in found:
        print(f"{folder}: {one} and {other} hold one recording")
    parser.exit(1 if found else 0)
