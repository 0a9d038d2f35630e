"""The work: clips as long as VoxCeleb1's, filled with real voices so that agreement of the answers means something.

VoxCeleb1's utterances last 4 s at least and 8.2 s in the mean, a few of them much longer (Nagrani et al. 2017,
https://arxiv.org/abs/1706.08612, table 2). Everything is seeded: equal seeds give equal samples.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from speaker_id import audio
from speaker_id.clip import SAMPLING_RATE, EncodedAudio, Waveform

from bundle.samples import samples

SHORTEST = 4.0  # s
LONGEST = 3600.0  # s, of a recording that is decoded
EXCESS_MEDIAN, EXCESS_SPREAD = 2.75, 0.9  # s beyond the shortest, and its logarithm's deviation: mean 4.1 s

Voices = Mapping[str, Sequence[Waveform]]  # speaker → recordings


def durations(count: int, seed: int) -> npt.NDArray[np.float64]:
    """Lengths in seconds, (count,), in random order."""
    rng = np.random.default_rng(seed)
    return np.round(SHORTEST + rng.lognormal(np.log(EXCESS_MEDIAN), EXCESS_SPREAD, count), 2)


def voices(sampling_rate: int = SAMPLING_RATE) -> Voices:
    """The demo's sample clips by speaker: held-out recordings of real people."""
    found: dict[str, list[Waveform]] = {}
    for sample in samples():
        found.setdefault(sample.speaker, []).append(decoded(sample.path.read_bytes(), sampling_rate))
    return found


def speech(seconds: float, rate: int = SAMPLING_RATE) -> Waveform:
    """All sample clips end to end, for so long; at another rate than theirs, their pitch is another."""
    return lasting(
        np.concatenate([each for recordings in voices().values() for each in recordings]), seconds, rate
    )


def lasting(samples: Waveform, seconds: float, rate: int = SAMPLING_RATE) -> Waveform:
    """Samples that last so long: repeated, or cut."""
    return np.resize(samples, round(seconds * rate))


def wav(samples: npt.NDArray[Any], rate: int = SAMPLING_RATE) -> bytes:
    """A file of 16 bits a sample."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def decoded(content: bytes, sampling_rate: int) -> Waveform:
    """Any recording of up to an hour.

    Raises:
        RequestError: it does not decode.
    """
    clip = EncodedAudio(content)
    return audio.decode(clip, sampling_rate=sampling_rate, max_seconds=LONGEST, min_samples=1).waveform


def speak(recordings: Sequence[Waveform], length: int, rng: np.random.Generator) -> Waveform:
    """One speaker for `length` samples: their recordings end to end, from a random position, repeated as needed."""
    order = [recordings[index] for index in rng.permutation(len(recordings))]
    loop = np.concatenate(order)
    return np.resize(np.roll(loop, -int(rng.integers(len(loop)))), length)


def work(speakers: Voices, seconds: Sequence[float], sampling_rate: int, seed: int) -> list[Waveform]:
    """One clip a length, speaker after speaker; no two clips are equal."""
    rng = np.random.default_rng(seed)
    turns = itertools.cycle(speakers.values())
    return [speak(next(turns), round(length * sampling_rate), rng) for length in seconds]


def slices(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Clips dealt into rounds of about `size` with like lengths in each, in random order within a round."""
    count = max(1, len(lengths) // size)
    by_length = sorted(range(len(lengths)), key=lambda index: lengths[index])
    dealt: list[list[int]] = [[] for _ in range(count)]
    for row, start in enumerate(range(0, len(by_length), count)):
        hands = (
            dealt if row % 2 == 0 else dealt[::-1]
        )  # there and back, so that no round gets the longer ones
        for hand, index in zip(hands, by_length[start : start + count], strict=False):
            hand.append(index)
    rng = np.random.default_rng(seed)
    return [[int(index) for index in rng.permutation(hand)] for hand in dealt]


def deal(lengths: Sequence[int], workers: int) -> list[list[int]]:
    """Positions for each worker: as many clips each, about as much audio each, in the given order.

    Longest first to the worker that has least: workers then end at about the same time, as they would with a long
    queue before them.
    """
    most = -(-len(lengths) // workers)
    shares: list[list[int]] = [[] for _ in range(workers)]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        open_shares = [share for share in shares if len(share) < most]
        min(open_shares, key=lambda share: sum(lengths[mine] for mine in share)).append(index)
    return [sorted(share) for share in shares]
