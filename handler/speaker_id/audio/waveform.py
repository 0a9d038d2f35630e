"""Blocks of samples → one mono waveform at the checkpoint's rate, as librosa would give it.

soxr is called directly: it is what `librosa.resample(res_type="soxr_hq")` calls, without librosa's 6 s of import,
and its stream gives bit for bit what one call on the whole signal gives, in the memory of one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import soxr

from speaker_id.audio.layout import Block
from speaker_id.clip import MAX_LEVEL, Waveform, max_frames
from speaker_id.errors import AudioTooLong, AudioTooShort, CorruptAudio, EmptyAudio, NonFiniteAudio

NOTHING: Waveform = np.zeros(0, np.float32)
MOST_RATES = 64  # stretches of one sampling rate in a clip; each costs a resampler


def assemble(
    blocks: Iterable[Block], *, sampling_rate: int, max_seconds: float, min_samples: int, padding: int
) -> Waveform:
    """Mix to mono, resample and join blocks; no more of them are drawn than the limit allows.

    Args:
        blocks: in order; where their sampling rate changes, what follows is resampled by itself.
        sampling_rate: of the result, in Hz.
        max_seconds: longest clip that is accepted, in seconds.
        min_samples: fewest samples of the result.
        padding: frames that the codec may have added to the end; beyond `max_seconds` they are cut off silently.
    """
    parts = waveforms(
        blocks, sampling_rate=sampling_rate, max_seconds=max_seconds, min_samples=min_samples, padding=padding
    )
    return np.concatenate(list(parts))


def waveforms(
    blocks: Iterable[Block], *, sampling_rate: int, max_seconds: float, min_samples: int, padding: int
) -> Iterator[Waveform]:
    """Yield the parts of the same waveform as blocks are drawn; arguments are those of `assemble`.

    What is wrong with a later block is raised after the parts before it.
    """
    stretch: _Stretch | None = None
    rates = samples = 0
    for block in blocks:
        if stretch is None or stretch.rate != block.sampling_rate:
            if rates == MOST_RATES:
                raise CorruptAudio(f"the sampling rate changes {MOST_RATES} times within the clip")
            began = 0.0
            if stretch is not None:
                began = stretch.began + stretch.drawn / stretch.rate
                samples += len(tail := stretch.finish())
                yield tail
            stretch, rates = _Stretch(block.sampling_rate, sampling_rate, began), rates + 1
        limit = max_frames(stretch.rate, max_seconds - stretch.began)
        stretch.drawn += block.samples.shape[1]
        # count what is drawn, not what is kept: else a body of frames as short as the padding would have no end
        if stretch.drawn > limit + padding:
            raise AudioTooLong(
                f"more than {max_seconds:g} s of audio, the limit: send a shorter clip, or ask for windows"
            )
        samples += len(part := stretch.add(block.samples[:, : max(0, limit - stretch.frames)]))
        yield part
    if stretch is not None:
        samples += len(tail := stretch.finish())
        yield tail
    if not samples:
        raise EmptyAudio("the recording contains no samples")
    if samples < min_samples:
        raise AudioTooShort(
            f"{1e3 * samples / sampling_rate:.4g} ms of audio; at least "
            f"{1e3 * min_samples / sampling_rate:.4g} ms ({min_samples} samples at {sampling_rate} Hz) are needed"
        )


def checked(samples: Waveform) -> Waveform:
    """Raise NonFiniteAudio for samples that the model cannot process."""
    level = max(samples.max(initial=0), -samples.min(initial=0))
    if not np.isfinite(level):
        raise NonFiniteAudio("the samples overflow float32 when resampled; scale them to ±1")
    if level > MAX_LEVEL:
        raise NonFiniteAudio(
            f"samples of up to {level:.3g} overflow in the model; at most {MAX_LEVEL:g} is accepted: scale them to ±1"
        )
    return samples


class _Stretch:
    """A stretch of one sampling rate: the mean of its channels, resampled block by block.

    Args:
        rate, target: sampling rates of the blocks and of the result, in Hz.
        began: seconds of the clip before it.
    """

    def __init__(self, rate: int, target: int, began: float) -> None:
        self.rate, self.began = rate, began
        self.drawn = 0  # frames that its blocks had
        self.frames = 0  # of them that are kept
        self._target = target
        self._stream = soxr.ResampleStream(rate, target, 1, dtype="float32", quality="HQ")
        self._given = 0  # samples of the result
        self._non_finite = 0
        self._first_non_finite = 0

    def add(self, samples: npt.NDArray[np.float32]) -> Waveform:
        """Return what is known of the result; nothing once a sample is not finite."""
        mixed = downmix(samples)
        part = NOTHING
        finite = np.isfinite(mixed)
        if not finite.all():
            if not self._non_finite:
                self._first_non_finite = self.frames + int(np.argmin(finite))
            self._non_finite += int(np.count_nonzero(~finite))
        elif not self._non_finite:
            part = mixed if self.rate == self._target else self._stream.resample_chunk(mixed)
        self.frames += len(mixed)
        self._given += len(part)
        return checked(part)

    def finish(self) -> Waveform:
        """Return the rest of the result."""
        if self._non_finite:
            raise NonFiniteAudio(
                f"{self._non_finite} of {self.frames} samples are NaN, infinite or too large to mix: first at sample "
                f"{self._first_non_finite} ({self.began + self._first_non_finite / self.rate:.6g} s)"
            )
        if self.rate == self._target:
            return NOTHING
        tail = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        # librosa's own expression, rounding included: the length is part of the contract.
        length = int(np.ceil(self.frames * (float(self._target) / self.rate)))
        missing = length - self._given
        assert missing >= 0, "the resampler gave more than its input has"
        return checked(np.pad(tail[:missing], (0, max(0, missing - len(tail)))))


def downmix(samples: npt.NDArray[np.float32]) -> Waveform:
    """Return the mean over channels, (channels, frames) → (frames,), summed in the order of `librosa.to_mono`."""
    if len(samples) == 1:
        return np.ascontiguousarray(samples[0])
    with np.errstate(over="ignore", invalid="ignore"):  # the caller reports what is not finite
        mixed: Waveform = samples[0] + samples[1]
        for channel in samples[2:]:
            mixed += channel
        mixed /= len(samples)
    return mixed
