"""MPEG audio without a container: MP3, MP2 and MP1 (ISO/IEC 11172-3, 13818-3), ADTS AAC (ISO/IEC 13818-7).

A sync word has only 11 or 12 bits, so a frame counts when the next one follows where its header says; after junk, when
two follow.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from speaker_id.audio.framing import follow
from speaker_id.audio.media import Media, check_size

PADDING = 4096  # samples that MP3 (1152 a frame) or HE-AAC (2048) may add at both ends together
MOST_JUNK = 1 << 16  # bytes before the first frame, as in FFmpeg's MP3 demuxer: a stream joined midway
CHAIN = 3  # frames after junk, of one kind, each where the one before ends: by chance in one of 10^8 bodies

# MPEG version bits → sampling rates in Hz; MPEG 2.5, reserved, 2, 1
RATES = {0: (11025, 12000, 8000), 2: (22050, 24000, 16000), 3: (44100, 48000, 32000)}
# fmt: off
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
KBITS = {  # (MPEG 1, layer) → kbit/s of bit rate index 1 to 14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# fmt: on
SYNC = re.compile(rb"\xff(?=[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xeb]|[\xf0\xf1\xf8\xf9])")
LONGEST_FRAME = 1729  # bytes: Layer II of 384 kbit/s at 32 kHz, padded


class Frame(NamedTuple):
    """One frame, from its header.

    Attributes:
        codec: MP1, MP2, MP3 or AAC.
        size: bytes, header included.
        kind: the header's bits that do not change within one recording.
        samples, sampling_rate: of one channel, and in Hz; HE-AAC doubles both.
        xing_at: offset in an MP3 frame of a Xing or Info header, after the side information; else 0.
    """

    codec: str
    size: int
    kind: tuple[int, int]
    samples: int
    sampling_rate: int
    xing_at: int = 0


def frame(data: bytes, start: int) -> Frame | None:
    """Parse the frame header at `start`; None if there is none."""
    if start < 0 or start + 7 > len(data) or data[start] != 0xFF or data[start + 1] & 0xE0 != 0xE0:
        return None
    second, third = data[start + 1 : start + 3]
    if second & 0xF6 == 0xF0:
        size = _adts_size(data, start)
        if not size:
            return None
        return Frame("AAC", size, (second & 0xFE, third & 0xFC), 1024, AAC_RATES[third >> 2 & 15])
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    kbits_index, rate_index = third >> 4, third >> 2 & 3
    if version not in RATES or layer == 4 or not 1 <= kbits_index <= 14 or rate_index == 3:
        return None
    rate = RATES[version][rate_index]
    bits = KBITS[version == 3, layer][kbits_index - 1] * 1000
    padding = third >> 1 & 1
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    size = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    mono = data[start + 3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    xing_at = 4 + side if layer == 3 else 0
    return Frame(f"MP{layer}", size, (second & 0xFE, third & 0x0C), samples, rate, xing_at)


def _adts_size(data: bytes, at: int) -> int:
    """Return the size of the ADTS frame at `at`, or 0. Faster than `frame`, since it is called for every frame."""
    if at + 7 > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return 0
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return size if size > 7 and data[at + 2] >> 2 & 15 < len(AAC_RATES) else 0


def first_frame(data: bytes) -> int | None:
    """Return where the first frame begins: at 0, or after at most MOST_JUNK bytes of zeros or other junk."""
    first = frame(data, 0)
    if first is not None:
        second = frame(data, first.size)
        if first.size >= len(data) or (second is not None and second.codec == first.codec):
            return 0
    return next(
        (sync.start() for sync in SYNC.finditer(data, 0, MOST_JUNK + 3) if _is_chain(data, sync.start())),
        None,
    )


def _is_chain(data: bytes, start: int) -> bool:
    kinds = set()
    for number in range(CHAIN):
        found = frame(data, start)
        if found is None:
            return False
        kinds.add((found.codec, found.kind))
        start += found.size
        if start >= len(data):
            return number > 0 and len(kinds) == 1
    return len(kinds) == 1


def xing(data: bytes) -> tuple[int | None, int | None]:
    """Return frames and bytes of the stream, where a Xing or Info header in its first frame declares them."""
    first = frame(data, 0)
    at = first.xing_at if first else 0
    if not at or data[at : at + 4] not in (b"Xing", b"Info") or len(data) < at + 16:
        return None, None
    flags, *fields = struct.unpack_from(">III", data, at + 4)
    frames = fields.pop(0) if flags & 1 else None
    return frames, fields[0] if flags & 2 else None


def inspect(data: bytes) -> Media:
    """Choose the demuxer by the first frame, and check an MP3's Xing or Info header, if it has one, against the bytes.

    Bytes between ADTS frames that are not frames are left out; for MPEG's layers FFmpeg's parser does that.

    The header is what LAME and FFmpeg write: frames and bytes of the whole stream
    (http://gabriel.mp3-tech.org/mp3infotag.html). Without it a stream declares no end.

    Raises:
        TruncatedAudio: it declares more bytes than were received, by more than one frame.
        CorruptAudio: so much is damaged that no next frame is found.
    """
    first = frame(data, 0)
    assert first is not None
    if first.codec == "AAC":
        framed = follow(
            data,
            0,
            lambda at: _adts_size(data, at),
            lambda start: (sync.start() for sync in SYNC.finditer(data, start)),
            CHAIN,
        )
        return Media(
            "AAC",
            "aac",
            data=framed.data,
            elementary=True,
            padding=PADDING,
            skipped_frames=framed.skipped,
            first_skipped=framed.first * first.samples / first.sampling_rate,
        )
    frames, size = xing(data)
    seconds = None if frames is None else frames * first.samples / first.sampling_rate
    if size is not None and size > len(data) + LONGEST_FRAME:
        check_size("MP3 header", size, len(data))
    return Media(first.codec, "mp3", data=data, seconds=seconds, elementary=True, padding=PADDING)
