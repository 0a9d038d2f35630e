"""Audio bytes → waveform: all code that knows codecs.

    bytes ─ sniff ─┬─ sndfile (libsndfile) ─┬─ blocks ─ waveform: mono, resampled, bounded
                   └─ ffmpeg  (PyAV)       ─┤
    raw samples ────────────────────────────┘

`sniff` decides by content alone what the bytes are, from the list in `formats`, and passes each container to its own
inspector (`riff`, `ogg`, `isobmff`, `matroska`, `mpeg`, …), which checks the sizes that it declares against the bytes
that were received. A reader then yields blocks of samples, and `waveform` stops drawing them as soon as the limit is
passed: a decompression bomb costs neither the memory nor the time of its full length. Damaged frames are skipped and
counted in `damage`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import cast

import numpy as np

from speaker_id.audio import ffmpeg, length, sndfile
from speaker_id.audio.damage import Damage
from speaker_id.audio.layout import Block, check_layout, check_length
from speaker_id.audio.media import Media
from speaker_id.audio.sniff import sniff
from speaker_id.audio.span import Span
from speaker_id.audio.waveform import assemble, waveforms
from speaker_id.clip import Decoded, EncodedAudio, RawAudio, Waveform
from speaker_id.errors import EmptyAudio, UnsupportedLayout

__all__ = ["Damage", "Span", "decode", "most_frames", "stream"]

SHORTEST_FRAME = 0.001  # s; the shortest blocks of any codec here are Vorbis's, 64 samples at 48 kHz


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
        The waveform, and how many damaged frames were skipped.

    Raises:
        EmptyAudio, UnsupportedMedia, CorruptAudio, TruncatedAudio, UnsupportedLayout, AudioTooLong,
        AudioTooShort, NonFiniteAudio: what is wrong with this clip. Nothing else is raised.
    """
    damage = Damage(most_frames(max_seconds))
    if isinstance(clip, RawAudio):
        blocks, padding = _raw_blocks(clip, max_seconds), 0
    else:
        recordings = sniff(bytes(clip.data))
        blocks = _encoded_blocks(recordings, max_seconds, damage)
        padding = max(media.padding for media in recordings)
    with closing(blocks):
        waveform = assemble(
            blocks,
            sampling_rate=sampling_rate,
            max_seconds=max_seconds,
            min_samples=min_samples,
            padding=padding,
        )
    return Decoded(waveform, damage.skipped)


def stream(
    file: Span,
    *,
    sampling_rate: int,
    max_seconds: float,
    min_samples: int,
    damage: Damage,
    on_length: Callable[[float], object] = lambda _: None,
) -> Iterator[Waveform]:
    """Decode a recording of any length in constant memory; the parts together are what `decode` returns of its bytes.

    Bytes between the frames of AAC or AMR, and tags within MPEG audio, are left out of a copy in memory.

    Args:
        file: the recording; other arguments are those of `decode`.
        damage: counts the frames that are skipped.
        on_length: is called with the recording's seconds before anything is decoded, where they can be known then.

    Raises:
        As `decode`; what is wrong with a later part is raised after the parts before it.
    """
    recordings = sniff(cast(bytes, file))
    file.forget()
    if (seconds := length.check(recordings, max_seconds)) is not None:
        on_length(seconds)
    with closing(_encoded_blocks(recordings, max_seconds, damage)) as blocks:
        yield from waveforms(
            blocks,
            sampling_rate=sampling_rate,
            max_seconds=max_seconds,
            min_samples=min_samples,
            padding=max(media.padding for media in recordings),
        )


def most_frames(max_seconds: float) -> int:
    """Return the most frames of a codec that a clip of so many seconds has."""
    return int(max_seconds / SHORTEST_FRAME) + 1


def _encoded_blocks(recordings: list[Media], max_seconds: float, damage: Damage) -> Generator[Block]:
    for media in recordings:
        reader = ffmpeg if media.demuxer else sndfile
        yield from reader.blocks(media, max_seconds, damage)
    damage.check()


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
