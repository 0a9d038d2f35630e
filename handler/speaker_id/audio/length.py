"""How long a recording is, before it is decoded: from its packets, which are read and not decoded.

What packets state may be wrong, and must not have a recording refused that could be decoded: the first ones are
decoded, and where they have another length than they state, or a packet is longer than any codec's, the length is not
known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import soundfile

from speaker_id.audio import ffmpeg
from speaker_id.audio.damage import MOST_DAMAGED
from speaker_id.audio.layout import check_length
from speaker_id.audio.media import Media
from speaker_id.errors import RequestError

# Of 20 ms an hour has 180,000. Too high: reading them takes long. Too low: more recordings are refused late.
MOST_PACKETS = 400_000
# Times the length that is accepted: so many of the codec's frames may be damaged, and are left out.
DAMAGED = 1 + MOST_DAMAGED
# s; FLAC's largest packet at 4 kHz has 16.4 s. Too high: one wrong packet makes the length wrong. Too low: that of
# formats with long packets is not known.
LONGEST_PACKET = 20.0
CHECKED_PACKETS = 100  # are decoded. Too high: time. Too low: what codecs leave out at the start looks wrong.
# Times what those have: more or less is wrong. Too high: wrong lengths pass. Too low: as above.
WRONG = 1.5


def check(recordings: Sequence[Media], max_seconds: float) -> float | None:
    """Return the seconds of recordings that are joined; None where that is not known before they are decoded.

    Raises:
        AudioTooLong: clearly more than `max_seconds`; where it is close to that, decoding finds out.
    """
    seconds = 0.0
    for media in recordings:
        try:
            found = _by_packets(media, DAMAGED * max_seconds - seconds) if media.demuxer else _declared(media)
        except (av.FFmpegError, soundfile.SoundFileError, OSError, RequestError):
            return None  # decoding says what is wrong
        if found is None:
            return None
        seconds += found
        check_length(1e3 * seconds, 1000, DAMAGED * max_seconds)
    return seconds


def _declared(media: Media) -> float | None:
    with soundfile.SoundFile(media.open()) as sound:
        return float(sound.frames / sound.samplerate) or None


def _by_packets(media: Media, enough: float) -> float | None:
    """Add up what packets of the audio track say of themselves, until it is `enough`."""
    with ffmpeg.opened(media) as (container, stream):
        base, total, stated, decoded = float(stream.time_base), 0.0, 0.0, 0.0
        for number, packet in enumerate(container.demux(stream)):
            seconds = (packet.duration or 0) * base
            if number == MOST_PACKETS or (packet.size and not 0 < seconds <= LONGEST_PACKET):
                return None
            total += seconds
            if number < CHECKED_PACKETS:
                stated, decoded = total, decoded + _decoded(stream, packet)
            if total > enough:
                break
        return total if decoded / WRONG <= stated <= decoded * WRONG else None


def _decoded(stream: Any, packet: Any) -> float:
    """Return the seconds that one packet has."""
    try:
        frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        return 0.0
    return float(sum(frame.samples / (frame.sample_rate or 1) for frame in frames))
