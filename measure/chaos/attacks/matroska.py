"""Matroska: blocks that unpack into more than they are (RFC 9559, section 5.1.4.1.31)."""

from __future__ import annotations

import struct
import zlib

from measure.chaos.attacks import Build, named, repeated
from measure.chaos.recordings import by_ffmpeg, tones

ZLIB, LZO, STRIPPED = 0, 2, 3  # ContentCompAlgo; FFmpeg comes without bzip2
MOST_UNPACKED = 9_000_000  # bytes of a block that FFmpeg unpacks


def size_of(number: int) -> bytes:
    return (1 << 56 | number).to_bytes(8, "big")


def element(identifier: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return identifier.to_bytes(-(-identifier.bit_length() // 8), "big") + size_of(len(body)) + body


def number(identifier: int, value: int) -> bytes:
    return element(identifier, value.to_bytes(max(1, -(-value.bit_length() // 8)), "big"))


def packing(algorithm: int, settings: bytes = b"") -> bytes:
    """ContentEncodings: one compression of all frames."""
    compression = element(0x5034, number(0x4254, algorithm), element(0x4255, settings) if settings else b"")
    return element(
        0x6D80, element(0x6240, number(0x5031, 0), number(0x5032, 1), number(0x5033, 0), compression)
    )


def opus_track(encodings: bytes = b"", identifier: int = 1) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    audio = element(0xE1, element(0xB5, struct.pack(">f", 48_000)), number(0x9F, 1))
    kind = number(0xD7, identifier) + number(0x73C5, identifier) + number(0x83, 2) + element(0x86, b"A_OPUS")
    return element(0xAE, kind, element(0x63A2, head), audio, encodings)


def block(content: bytes, time: int = 0) -> bytes:
    return element(0xA3, b"\x81", struct.pack(">hB", time, 0x80), content)


def segment(tracks: bytes, blocks: bytes, more: bytes = b"") -> bytes:
    header = element(0x1A45DFA3, element(0x4282, b"webm"))
    return header + element(
        0x18538067, more, element(0x1654AE6B, tracks), element(0x1F43B675, number(0xE7, 0), blocks)
    )


def padded(length: int) -> bytes:
    """An Opus packet of one silent frame of 2.5 ms that is so long for its padding (RFC 6716, section 3.2.5)."""
    padding = length - 3
    runs, rest = divmod(padding, 255)
    return b"\xe3\x41" + b"\xff" * runs + bytes([rest]) + bytes(length - 3 - runs)


def stripped(size: int) -> bytes:
    """A stripped header of half the body, which every block of a few bytes gets back."""
    whole = padded(size // 2)
    blocks = block(whole[-1:]) * (size // 2 // len(block(b"\0")))
    return segment(opus_track(packing(STRIPPED, whole[:-1])), blocks)


def deflated(size: int) -> bytes:
    one = block(zlib.compress(padded(MOST_UNPACKED), 9))
    return segment(opus_track(packing(ZLIB)), repeated(one, size))


def lzo(length: int) -> bytes:
    """`padded(length)` by LZO, in which a zero byte makes a run 255 longer."""
    packet = padded(length)
    runs = packet.count(b"\xff")
    return (
        bytes([17 + 3]) + packet[:3] + run(runs - 1, literals=2) + packet[2 + runs : 4 + runs]
        + run(length - 4 - runs) + b"\x11\0\0"
    )  # fmt: skip


def run(length: int, literals: int = 0) -> bytes:
    """The byte before so many times more, then so many literals."""
    zeros, rest = divmod(length - 2 - 31 - 1, 255)
    return b"\x20" + bytes(zeros) + bytes([rest + 1, literals, 0])


def by_lzo(size: int) -> bytes:
    one = block(lzo(MOST_UNPACKED))
    return segment(opus_track(packing(LZO)), repeated(one, size))


def junk_behind(size: int) -> bytes:
    return by_ffmpeg("webm", "libopus", tones(1.0, 48_000), 48_000) + repeated(b"\x1f\x43\xb6\x00", size)


def tracks(size: int) -> bytes:
    return segment(opus_track() + repeated(opus_track(identifier=2), size), SECOND)


def without_end(one: bytes, *masters: int, before: bytes = b"") -> Build:
    """A recording of a second before which an element stands again and again, in these masters, outermost first."""

    def build(size: int) -> bytes:
        content = before + repeated(one, size)
        for identifier in reversed(masters):
            content = element(identifier, content)
        return segment(opus_track(), SECOND, content)

    return build


def behind(blocks: bytes) -> Build:
    """A recording of a second with these blocks behind it, again and again."""
    return lambda size: segment(opus_track(), SECOND + repeated(blocks, size))


SECOND = block(padded(10)) * 400
TAG = element(0x67C8, element(0x45A3, b"A"), element(0x4487, b"b"))
CUE = element(0xBB, number(0xB3, 1), element(0xB7, number(0xF7, 1), number(0xF1, 1)))
FILE = element(0x61A7, element(0x466E, b"a"), element(0x4660, b"b"), element(0x465C, b"c"), number(0x46AE, 1))
CHAPTER = element(0xB6, number(0x73C4, 1), number(0x91, 1), element(0x80, element(0x85, b"a")))
LACE = element(0xA3, b"\x81", struct.pack(">hB", 0, 0x82), b"\xff" + bytes(255))  # 256 empty frames
ATTACKS = named(
    {
        "WebM/Matroska: a stripped header of half the body": stripped,
        "WebM/Matroska: blocks packed by zlib": deflated,
        "WebM/Matroska: blocks packed by LZO": by_lzo,
        "WebM/Matroska: tracks without end": tracks,
        "WebM/Matroska: tags without end": without_end(TAG, 0x1254C367, 0x7373, before=element(0x63C0)),
        "WebM/Matroska: cues without end": without_end(CUE, 0x1C53BB6B),
        "WebM/Matroska: attachments without end": without_end(FILE, 0x1941A469),
        "WebM/Matroska: chapters without end": without_end(CHAPTER, 0x1043A770, 0x45B9),
        "WebM/Matroska: blocks of empty frames": behind(LACE),
        "WebM/Matroska: void elements": behind(b"\xec\x80"),
        "WebM/Matroska: junk behind a recording": junk_behind,
    }
)
