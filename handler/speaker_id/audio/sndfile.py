"""WAV, AIFF, FLAC and Ogg (Vorbis, Opus) through libsndfile, the decoder behind `librosa.load`.

MP3 goes to FFmpeg although libsndfile reads it: both give the same length and the same samples to 1e-6, but
libsndfile's mpg123 writes warnings about a caller's bytes to stderr.
"""

from __future__ import annotations

from collections.abc import Generator

import soundfile

from speaker_id.audio.damage import Damage
from speaker_id.audio.layout import Block, check_layout, check_length
from speaker_id.audio.media import Media
from speaker_id.errors import CorruptAudio, TruncatedAudio

BLOCK_VALUES = 1 << 20  # float32 values decoded at once: 4 MiB, 12 s of 44.1 kHz stereo


def blocks(media: Media, max_seconds: float, _: Damage) -> Generator[Block]:
    """Decode block-wise; blocks are (channels, frames).

    Raises:
        UnsupportedLayout, AudioTooLong: before anything is decoded, from what the header declares.
        CorruptAudio: libsndfile cannot open or decode the content.
        TruncatedAudio: fewer samples than the header declares.
    """
    try:
        with soundfile.SoundFile(media.open()) as sound:
            check_layout(sound.samplerate, sound.channels)
            declared = sound.frames
            check_length(declared, sound.samplerate, max_seconds)
            decoded = 0
            while len(part := sound.read(BLOCK_VALUES // sound.channels, dtype="float32", always_2d=True)):
                decoded += len(part)
                yield Block(part.T, sound.samplerate)
    except soundfile.SoundFileError as exc:
        raise CorruptAudio(f"{media.name} content cannot be decoded") from exc
    if decoded < declared:
        raise TruncatedAudio(
            f"{media.name} header declares {declared} samples but only {decoded} were received: send the complete file"
        )
