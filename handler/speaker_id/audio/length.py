"""How long a recording is, before it is decoded: from its packets, of which an hour takes half a second to read."""

from __future__ import annotations

from collections.abc import Sequence

import av
import soundfile

from speaker_id.audio import ffmpeg
from speaker_id.audio.damage import MOST_DAMAGED
from speaker_id.audio.layout import check_length
from speaker_id.audio.media import Media
from speaker_id.errors import RequestError

# Of 20 ms an hour has 180,000. Too high: reading them takes seconds. Too low: more recordings are refused late.
MOST_PACKETS = 400_000
# Times the length that is accepted: so many of the codec's frames may be damaged, and are left out.
DAMAGED = 1 + MOST_DAMAGED


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
        base, total = float(stream.time_base), 0
        for number, packet in enumerate(container.demux(stream)):
            if number == MOST_PACKETS or (packet.size and not packet.duration):
                return None
            total += packet.duration or 0
            if total * base > enough:
                break
        return total * base
