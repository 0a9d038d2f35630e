"""WAV and AIFF: both are chunks of `id, size, content`.

WAV: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html; RF64: EBU Tech 3306; BW64: ITU-R BS.2088;
AIFF: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/AIFF/AIFF.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from speaker_id.audio import mpeg
from speaker_id.audio.layout import check_layout
from speaker_id.audio.media import MAX_PARTS, Media, check_samples, check_size
from speaker_id.errors import CorruptAudio, EmptyAudio, UnsupportedMedia

# Programs that cannot seek back (into a pipe) write 0, 2^32 - 1 or a number just below 2^31 for a size that they do not
# know. No body is that large, so such a size declares nothing.
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
    size: int  # as declared
    start: int  # of the content


def chunks(data: bytes, order: str) -> Iterator[Chunk]:
    """Yield the chunks of a WAV or AIFF file; the last may declare more than was received."""
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
        TruncatedAudio: a chunk declares more bytes than were received.
        EmptyAudio: the header declares no samples, and there are none.
        CorruptAudio: a needed chunk is missing.
    """
    order = ">" if data[:4] == b"RIFX" else "<"
    tag, sample_frame, wide_size = None, 1, None
    for chunk in chunks(data, order):
        received = len(data) - chunk.start
        if chunk.name == "data":
            if tag is None:
                raise CorruptAudio("WAV without a format chunk before its data")
            size = wide_size if chunk.size == 0xFFFF_FFFF and wide_size else chunk.size
            end = _check_data(data, order, chunk._replace(size=size), sample_frame)
            if tag in FFMPEG_TAGS:
                name, padding = f"WAV ({FFMPEG_TAGS[tag]})", mpeg.PADDING if tag == 0x55 else 0
                return Media(name, "wav", end=end, padding=padding)
            # libsndfile reads nothing where a size is 0, and no BW64
            ffmpeg = not chunk.size or data.startswith(b"BW64")
            return Media("WAV", "wav" if ffmpeg else None, end=end)
        check_size(f"WAV chunk {chunk.name!r}", chunk.size, received)
        if chunk.name == "fmt ":
            tag, sample_frame = _check_format(data[chunk.start : chunk.start + chunk.size], order)
        elif chunk.name == "ds64" and chunk.size >= 16:
            wide_size = struct.unpack_from(f"{order}Q", data, chunk.start + 8)[0]
    check_size("WAV header", 8 + struct.unpack_from(f"{order}I", data, 4)[0], len(data))
    raise CorruptAudio("WAV without a data chunk")


def _check_format(content: bytes, order: str) -> tuple[int, int]:
    """Return the format tag, and the bytes of one sample of all channels."""
    if len(content) < 16:
        raise CorruptAudio(f"WAV format chunk of {len(content)} bytes; at least 16 are needed")
    tag, channels, sampling_rate, _, sample_frame = struct.unpack_from(f"{order}HHIIH", content)
    if tag == EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack_from(f"{order}H", content, 24)[0]
    if tag not in SNDFILE_TAGS and tag not in FFMPEG_TAGS:
        known = ", ".join((SNDFILE_TAGS | FFMPEG_TAGS).values())
        raise UnsupportedMedia(f"WAV with format tag 0x{tag:04x}; {known} are supported")
    check_layout(sampling_rate, channels)
    return int(tag), max(1, sample_frame)


def _check_data(data: bytes, order: str, chunk: Chunk, sample_frame: int) -> int | None:
    """Return where the file ends; None if its sizes do not say."""
    declared = 8 + struct.unpack_from(f"{order}I", data, 4)[0]
    received = len(data) - chunk.start
    if not received or (not chunk.size and declared == len(data)):
        raise EmptyAudio("WAV with an empty data chunk")
    if chunk.size >= PLACEHOLDER or not chunk.size:
        return None
    check_samples("WAV data chunk", chunk.size, received, chunk.start, sample_frame)
    data_end = chunk.start + chunk.size + chunk.size % 2
    return max(data_end, declared) if declared < PLACEHOLDER else data_end


def inspect_aiff(data: bytes) -> Media:
    """Check that an AIFF's or AIFC's chunks were received completely.

    Raises:
        TruncatedAudio: a chunk declares more bytes than were received.
        CorruptAudio: no sound data chunk.
    """
    declared = 8 + struct.unpack_from(">I", data, 4)[0]
    for chunk in chunks(data, ">"):
        received = len(data) - chunk.start
        if chunk.name == "SSND":
            if chunk.size < PLACEHOLDER:
                check_samples("AIFF chunk 'SSND'", chunk.size, received, chunk.start, 1)
            return Media("AIFF", end=max(declared, chunk.start + chunk.size))
        if chunk.size < PLACEHOLDER:
            check_size(f"AIFF chunk {chunk.name!r}", chunk.size, received)
    check_size("AIFF header", declared, len(data))
    raise CorruptAudio("AIFF without a sound data chunk")
