"""Audio bytes → waveform: the only codec code.

    bytes ─ sniff ─┬─ sndfile (libsndfile) ─┬─ blocks ─ waveform: mono, resampled, bounded
                   └─ ffmpeg  (PyAV)       ─┤
    raw samples ────────────────────────────┘

`sniff` decides by content alone what the bytes are and hands each container to its own inspector (`riff`,
`ogg`, `isobmff`, `matroska`, `mpeg`), which holds the sizes that it states against the bytes that came. A reader
then yields blocks of samples, and `waveform` stops drawing them as soon as the limit is passed: a compressed
bomb costs neither the memory nor the time of its full length.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import numpy as np

from speaker_id.audio import ffmpeg, sndfile
from speaker_id.audio.layout import Block, check_layout, check_length
from speaker_id.audio.sniff import sniff
from speaker_id.audio.waveform import Waveform, assemble
from speaker_id.clip import Decoded, EncodedAudio, RawAudio
from speaker_id.errors import EmptyAudio, UnsupportedLayout

__all__ = ["Decoded", "Waveform", "decode"]


def decode(
    clip: EncodedAudio | RawAudio, *, sampling_rate: int, max_seconds: float, min_samples: int
) -> Decoded:
    """Decode one clip as `librosa.load(sr=sampling_rate, mono=True)` would; safe to call from many threads.

    Args:
        clip: audio in any supported container, or samples with their sampling rate.
        sampling_rate: of the result, in Hz.
        max_seconds: longest clip that is accepted, in seconds; one of exactly this length passes.
        min_samples: fewest samples of the result; the encoder's receptive field.

    Returns:
        The waveform, and how many damaged frames were skipped on the way.

    Raises:
        EmptyAudio, UnsupportedMedia, CorruptAudio, TruncatedAudio, UnsupportedLayout, AudioTooLong,
        AudioTooShort, NonFiniteAudio: what is wrong with this clip. Nothing else is raised.
    """
    if isinstance(clip, RawAudio):
        blocks, padding = _raw_blocks(clip, max_seconds), 0
    else:
        data = bytes(clip.data)
        media = sniff(data)
        reader = ffmpeg if media.demuxer else sndfile
        blocks, padding = reader.blocks(data[media.start :], media, max_seconds), media.padding
    with closing(blocks):
        waveform = assemble(
            blocks,
            sampling_rate=sampling_rate,
            max_seconds=max_seconds,
            min_samples=min_samples,
            padding=padding,
        )
    return Decoded(waveform)


def _raw_blocks(clip: RawAudio, max_seconds: float) -> Generator[Block]:
    samples = np.atleast_2d(clip.samples)
    assert samples.dtype == np.float32, f"RawAudio holds float32, not {samples.dtype}"
    if clip.samples.ndim not in (1, 2):
        shape = tuple(clip.samples.shape)
        raise UnsupportedLayout(f"samples of shape {shape}; send (samples,) or (channels, samples)")
    if samples.size == 0:
        raise EmptyAudio("the array of samples is empty")
    check_layout(clip.sampling_rate, len(samples))
    check_length(samples.shape[1], clip.sampling_rate, max_seconds)
    yield Block(samples, clip.sampling_rate)
