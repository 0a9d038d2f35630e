"""Check FLAC's declared length against its last frame: RFC 9639.

The stream info declares the samples of the whole stream, but nothing declares bytes, and libsndfile reports a truncated
stream as it does a damaged one. A frame's header says which samples it contains, so the last one shows how much of the
stream was received.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from speaker_id.audio.layout import check_layout
from speaker_id.audio.media import Media, check_size
from speaker_id.errors import TruncatedAudio

STREAM_INFO_END = 42  # bytes: signature, block header and the stream info itself, always the first block
LONGEST_FRAME = 1 << 21  # bytes: 65535 samples of 8 channels and 32 bits, and a little
SYNCS = (b"\xff\xf8", b"\xff\xf9")  # of streams of fixed and of variable block size
# Sync words that are tried, each at the cost of reading a header: a body may consist of them.
CANDIDATES = 1024
SIGNATURE = b"fLaC"
NEXT = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # signature and the header of a stream info


def inspect(data: bytes) -> Media:
    """Check the stream info, and that frames were received for all the samples that it declares.

    A second stream after the first (`cat a.flac b.flac`) is another recording: libsndfile reads only the first.

    A stream that declares no length (its writer could not seek back) is read by FFmpeg: libsndfile fails on it.

    Raises:
        UnsupportedLayout: from the stream info.
        TruncatedAudio: the last frame ends before the declared length.
    """
    check_size("FLAC header", STREAM_INFO_END, len(data))
    end = _next_stream(data)
    block_size = int.from_bytes(data[8:10], "big")
    # 20 bits sampling rate, 3 channels less one, 5 bits a sample less one, 36 samples
    packed = int.from_bytes(data[18:26], "big")
    declared = packed & (1 << 36) - 1
    check_layout(packed >> 44, (packed >> 41 & 7) + 1)
    if not declared:
        return Media("FLAC", "flac", end=end, elementary=True)
    received = _last_sample(data[:end], block_size)
    if received is not None and received < declared:
        raise TruncatedAudio(
            f"FLAC header declares {declared} samples but frames for only {received} were received: "
            "send the complete file"
        )
    if received is not None and received > declared:  # libsndfile would stop at what is declared
        return Media("FLAC", "flac", end=end, elementary=True)
    return Media("FLAC", end=end)


def _next_stream(data: bytes) -> int | None:
    """Return where a second stream begins; None if there is none."""
    at = data.find(SIGNATURE, STREAM_INFO_END)
    while at >= 0 and NEXT.match(data, at) is None:
        at = data.find(SIGNATURE, at + 1)
    return at if at >= 0 else None


def _last_sample(data: bytes, block_size: int) -> int | None:
    """Return the samples up to the end of the last frame; None if none is among the last CANDIDATES sync words."""
    tail = max(STREAM_INFO_END, len(data) - LONGEST_FRAME)
    for number, at in enumerate(_syncs(data, tail), 1):
        if number > CANDIDATES:
            return None
        end = _frame_end(data[at : at + 16], block_size)
        if end is not None:
            return end
    return 0 if tail == STREAM_INFO_END else None


def _syncs(data: bytes, start: int) -> Iterator[int]:
    """Yield offsets of sync words from the last back to `start`."""
    found = {sync: data.rfind(sync, start) for sync in SYNCS}
    while (at := max(found.values())) >= 0:
        yield at
        sync = data[at : at + 2]
        found[sync] = data.rfind(sync, start, at)


def _frame_end(header: bytes, stream_block_size: int) -> int | None:
    """Return the number of the sample after a frame, from its header; None if the checksum does not match.

    Args:
        header: 16 bytes, the longest that a header can be, or fewer at the end of the data.
        stream_block_size: of every frame but the last, where the header counts frames and not samples.
    """
    if len(header) < 6:
        return None
    size_code, rate_code = header[2] >> 4, header[2] & 15
    ones = 8 - (header[4] ^ 0xFF).bit_length()  # of a number coded as UTF-8 codes a character
    number_end = 4 + max(1, ones)
    size_end = number_end + {6: 1, 7: 2}.get(size_code, 0)
    checksum_at = size_end + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if ones in (1, 8) or not size_code or checksum_at >= len(header) or _crc8(header[: checksum_at + 1]):
        return None
    number = header[4] & 0x7F >> ones
    for byte in header[5:number_end]:
        number = number << 6 | byte & 0x3F
    if size_code in (6, 7):
        size = 1 + int.from_bytes(header[number_end:size_end], "big")
    else:
        size = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    return (number if header[1] & 1 else number * stream_block_size) + size


def _crc8(header: bytes) -> int:
    """Return the remainder by x^8 + x^2 + x + 1; 0 for a header with its checksum."""
    remainder = 0
    for byte in header:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder << 1 ^ 0x07) & 0xFF if remainder & 0x80 else remainder << 1
    return remainder
