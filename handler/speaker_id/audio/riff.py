"""WAV and AIFF: both are chunks of `id, size, content`.

WAV: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html; RF64: EBU Tech 3306;
AIFF: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/AIFF/AIFF.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from speaker_id.audio import mpeg
from speaker_id.audio.layout import check_layout
from speaker_id.audio.media import MAX_PARTS, Media, check_size
from speaker_id.errors import CorruptAudio, EmptyAudio, UnsupportedMedia

# Writers that cannot seek back (pipes) leave 0, 2^32 - 1 or some number just below 2^31 for a size that they do not
# know. No body is that large, so such a size promises nothing.
PLACEHOLDER = 0x7FFF_0000

EXTENSIBLE = 0xFFFE  # the real tag follows in the first two bytes of a GUID
SNDFILE_TAGS = {
    1: "PCM",
    2: "MS ADPCM",
    3: "float",
    6: "A-law",
    7: "µ-law",
    0x11: "IMA ADPCM",
    0x31: "GSM 6.10",
}
FFMPEG_TAGS = {0x55: "MP3", 0x028F: "G.722"}


class Chunk(NamedTuple):
    name: str
    size: int  # as stated
    start: int  # of the content


def chunks(data: bytes, order: str) -> Iterator[Chunk]:
    """The chunks of a WAV or AIFF file; the last may state more than came."""
    position = 12
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            return
        name, size = struct.unpack_from(f"{order}4sI", data, position)
        yield Chunk(name.decode("ascii", "replace"), size, position + 8)
        position += 8 + size + size % 2


def inspect_wav(data: bytes) -> Media:
    """Check a WAV's format and sizes, and choose its reader by its format tag.

    Raises:
        UnsupportedMedia, UnsupportedLayout: from the format chunk.
        TruncatedAudio: a chunk states more bytes than came.
        EmptyAudio: the header is closed over no samples.
        CorruptAudio: a needed chunk is missing.
    """
    order = ">" if data[:4] == b"RIFX" else "<"
    tag, wide_size = None, None
    for chunk in chunks(data, order):
        came = len(data) - chunk.start
        if chunk.name == "data":
            if tag is None:
                raise CorruptAudio("WAV without a format chunk before its data")
            _check_data(
                data, order, wide_size if chunk.size == 0xFFFF_FFFF and wide_size else chunk.size, came
            )
            if tag in FFMPEG_TAGS:
                return Media(f"WAV ({FFMPEG_TAGS[tag]})", "wav", padding=mpeg.PADDING if tag == 0x55 else 0)
            return Media("WAV", None if chunk.size else "wav")  # libsndfile reads nothing where a size is 0
        check_size(f"WAV chunk {chunk.name!r}", chunk.size, came)
        if chunk.name == "fmt ":
            tag = _check_format(data[chunk.start : chunk.start + chunk.size], order)
        elif chunk.name == "ds64" and chunk.size >= 16:
            wide_size = struct.unpack_from(f"{order}Q", data, chunk.start + 8)[0]
    check_size("WAV header", 8 + struct.unpack_from(f"{order}I", data, 4)[0], len(data))
    raise CorruptAudio("WAV without a data chunk")


def _check_format(content: bytes, order: str) -> int:
    if len(content) < 16:
        raise CorruptAudio(f"WAV format chunk of {len(content)} bytes; at least 16 are needed")
    tag, channels, sampling_rate = struct.unpack_from(f"{order}HHI", content)
    if tag == EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack_from(f"{order}H", content, 24)[0]
    if tag not in SNDFILE_TAGS and tag not in FFMPEG_TAGS:
        known = ", ".join((SNDFILE_TAGS | FFMPEG_TAGS).values())
        raise UnsupportedMedia(f"WAV with format tag 0x{tag:04x}; {known} are supported")
    check_layout(sampling_rate, channels)
    return int(tag)


def _check_data(data: bytes, order: str, promised: int, came: int) -> None:
    stated = 8 + struct.unpack_from(f"{order}I", data, 4)[0]
    if not came or (not promised and stated == len(data)):
        raise EmptyAudio("WAV with an empty data chunk")
    if promised < PLACEHOLDER:
        check_size("WAV data chunk", promised, came)


def inspect_aiff(data: bytes) -> Media:
    """Check that an AIFF's or AIFC's chunks came whole.

    Raises:
        TruncatedAudio: a chunk states more bytes than came.
        CorruptAudio: no sound data chunk.
    """
    for chunk in chunks(data, ">"):
        came = len(data) - chunk.start
        if chunk.size < PLACEHOLDER:
            check_size(f"AIFF chunk {chunk.name!r}", chunk.size, came)
        if chunk.name == "SSND":
            return Media("AIFF")
    check_size("AIFF header", 8 + struct.unpack_from(">I", data, 4)[0], len(data))
    raise CorruptAudio("AIFF without a sound data chunk")
