"""MPEG audio without a container: MP3 (ISO/IEC 11172-3, 13818-3), ADTS AAC (ISO/IEC 13818-7), ID3v2 tags.

A sync word is only 11 or 12 bits, so a frame counts when the next one follows where its header says.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from speaker_id.audio.media import MAX_PARTS, Media, check_size

PADDING = 4096  # samples that MP3 (1152 a frame) or HE-AAC (2048) may add at both ends together

# MPEG version bits → sampling rates in Hz; MPEG 2.5, reserved, 2, 1
RATES = {0: (11025, 12000, 8000), 2: (22050, 24000, 16000), 3: (44100, 48000, 32000)}
KBITS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # Layer III, MPEG 1
KBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # Layer III, MPEG 2 and 2.5
NOT_ZERO = re.compile(rb"[^\0]")
LONGEST_FRAME = 1441  # bytes: 320 kbit/s at 32 kHz, padded


class Frame(NamedTuple):
    size: int  # bytes, header included
    samples: int
    sampling_rate: int
    xing_at: int  # offset in the frame of a Xing or Info header, behind the side information


def after_id3(data: bytes) -> int:
    """Offset of what follows ID3v2 tags and the zero padding behind them.

    Raises:
        TruncatedAudio: a tag states more bytes than came.
    """
    start = 0
    for _ in range(MAX_PARTS):
        if not data.startswith(b"ID3", start) or start + 10 > len(data):
            break
        footer = 10 if data[start + 5] & 0x10 else 0
        size = 0
        for byte in data[start + 6 : start + 10]:  # 7 bits a byte, so that no size looks like a sync word
            size = size << 7 | byte & 0x7F
        check_size("the ID3 tag", 10 + size + footer, len(data) - start)
        start += 10 + size + footer
        sound = NOT_ZERO.search(data, start)
        start = sound.start() if sound else len(data)
    return start


def mp3_frame(data: bytes, start: int) -> Frame | None:
    """The Layer III frame whose header is at `start`, or None."""
    if start + 4 > len(data) or data[start] != 0xFF or data[start + 1] & 0xE6 != 0xE2:
        return None
    version = data[start + 1] >> 3 & 3
    kbits_index, rate_index = data[start + 2] >> 4, data[start + 2] >> 2 & 3
    if version not in RATES or not 1 <= kbits_index <= 14 or rate_index == 3:
        return None
    rate = RATES[version][rate_index]
    kbits = (KBITS_1 if version == 3 else KBITS_2)[kbits_index - 1]
    samples = 1152 if version == 3 else 576
    mono = data[start + 3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    size = samples // 8 * kbits * 1000 // rate + (data[start + 2] >> 1 & 1)
    return Frame(size, samples, rate, 4 + side)


def is_mp3(data: bytes) -> bool:
    first = mp3_frame(data, 0)
    return first is not None and (first.size >= len(data) or mp3_frame(data, first.size) is not None)


def inspect_mp3(data: bytes) -> Media:
    """Hold the sizes in an MP3's Xing or Info header, if it has one, against the bytes that came.

    The header is what LAME and FFmpeg write: frames and bytes of the whole stream
    (http://gabriel.mp3-tech.org/mp3infotag.html). Without it a stream states no end.

    Raises:
        TruncatedAudio: it states more bytes than came, by more than one frame.
    """
    frame = mp3_frame(data, 0)
    assert frame is not None
    seconds = None
    at = frame.xing_at
    if data[at : at + 4] in (b"Xing", b"Info") and len(data) >= at + 16:
        flags, *fields = struct.unpack_from(">III", data, at + 4)
        if flags & 1:
            seconds = fields.pop(0) * frame.samples / frame.sampling_rate
        if flags & 2 and fields[0] > len(data) + LONGEST_FRAME:
            check_size("MP3 header", fields[0], len(data))
    return Media("MP3", "mp3", seconds=seconds, elementary=True, padding=PADDING)


def adts_size(data: bytes, start: int) -> int | None:
    """Bytes of the ADTS frame at `start`, or None."""
    if start + 7 > len(data) or data[start] != 0xFF or data[start + 1] & 0xF6 != 0xF0:
        return None
    if data[start + 2] >> 2 & 15 > 12:  # sampling rate index
        return None
    size = (data[start + 3] & 3) << 11 | data[start + 4] << 3 | data[start + 5] >> 5
    return size if size > 7 else None


def is_adts(data: bytes) -> bool:
    first = adts_size(data, 0)
    return first is not None and (first >= len(data) or adts_size(data, first) is not None)
