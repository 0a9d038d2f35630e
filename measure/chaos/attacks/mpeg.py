"""MP3 and AAC: frames that change, tags, and sync words with nothing behind them. AMR: frames without data."""

from __future__ import annotations

import struct
import zlib

from measure.chaos.attacks import named, repeated

MP3_SIZE = 24  # bytes: MPEG 2, 8 kbit/s at 24 kHz, 576 samples


def mp3(mono: bool) -> bytes:
    """A silent frame."""
    return (b"\xff\xf3\x14" + (b"\xc4" if mono else b"\x04")).ljust(MP3_SIZE, b"\0")


def adts(channels: int, content: bytes, rate_index: int = 8) -> bytes:
    """A frame (ISO/IEC 13818-7); rate index 8 is 16 kHz."""
    size = 7 + len(content)
    head = 0xFFF1 << 40 | 1 << 38 | rate_index << 34 | channels << 30 | size << 13 | 0x7FF << 2
    return head.to_bytes(7, "big") + content


def silence(*elements: int) -> bytes:
    """Elements of one (0) or two (1) channels without a spectrum, as bits from the highest on."""
    bits, ids = "", [0, 0]
    for kind in elements:
        bits += f"{kind:03b}{ids[kind]:04b}" + ("0" + "0" * 44 if kind else "0" * 22)
        ids[kind] += 1
    bits += "111"
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def aac(mono: bool) -> bytes:
    return adts(1, silence(0)) if mono else adts(2, silence(1))


def id3(content: bytes, major: int = 4) -> bytes:
    return b"ID3" + bytes([major, 0, 0]) + sevens(len(content)) + content


def sevens(number: int) -> bytes:
    """Seven bits a byte."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def unpacking_tag(size: int) -> bytes:
    """Frames of a tag that are packed by zlib, and state how much they unpack into."""
    length = 64 << 20
    packed = zlib.compress(bytes(length), 9)
    frame = b"TXXX" + sevens(4 + len(packed)) + b"\0\x09" + struct.pack(">I", length) + packed
    return id3(repeated(frame, size))


def in_wav(tag: bytes) -> bytes:
    """A WAV of MP3 with a tag as a chunk, which is FFmpeg's to read."""
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 24_000, 1000, 1, 0, 12, 1, 2, MP3_SIZE, 1, 0)
    data = mp3(mono=True) * 100
    parts = [b"fmt ", struct.pack("<I", len(form)), form, b"id3 ", struct.pack("<I", len(tag)), tag]
    parts += [b"\0" * (len(tag) % 2), b"data", struct.pack("<I", len(data)), data]
    body = b"WAVE" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def two_mp3(behind: bytes) -> bytes:
    return mp3(mono=True) * 60 + behind


def two_aac(behind: bytes) -> bytes:
    return aac(mono=True) * 60 + behind


TAG_FRAME = b"TXXX\0\0\0\1\0\0\0"
DAMAGED = b"\xff\xf3\x14\xc4".ljust(24, b"\xff")
ATTACKS = named(
    {
        "MP3: mono and stereo by turns": lambda size: repeated(mp3(True) + mp3(False), size),
        "MP3: sync words with nothing behind them": lambda size: two_mp3(repeated(b"\xff\xf3\x14\xc4", size)),
        "MP3: sync words before the first frame": lambda size: (
            repeated(b"\xff\xf3\xf4\xc4", size) + two_mp3(b"")
        ),
        "MP3: half the frames are damaged": lambda size: repeated(mp3(True) + DAMAGED, min(size, 200_000)),
        "MP3: tags without end": lambda size: repeated(id3(b""), size) + two_mp3(b""),
        "MP3: tags between the frames": lambda size: repeated(mp3(True) + id3(b""), size),
        "MP3: one tag of the whole body": lambda size: id3(bytes(size)) + two_mp3(b""),
        "MP3: frames of a tag without end": lambda size: id3(repeated(TAG_FRAME, size)) + two_mp3(b""),
        "WAV: MP3: a tag of frames packed by zlib": lambda size: in_wav(unpacking_tag(size)),
        "WAV: MP3: frames of a tag without end": lambda size: in_wav(id3(repeated(TAG_FRAME, size))),
        "AAC: mono and stereo by turns": lambda size: repeated(aac(True) + aac(False), size),
        "AAC: sync words with nothing behind them": lambda size: two_aac(repeated(b"\xff\xf1\x60\x40", size)),
        "AAC: headers without frames": lambda size: two_aac(repeated(adts(1, b"\xff"), size)),
        "AAC: tags between the frames": lambda size: repeated(aac(True) + id3(b""), size),
        "AMR: frames without data": lambda size: b"#!AMR\n" + b"\x7c" * size,
        "AMR: frames of no kind": lambda size: b"#!AMR\n" + b"\x54" * size,
        "AMR: wide band without data": lambda size: b"#!AMR-WB\n" + b"\x7c" * size,
    }
)
