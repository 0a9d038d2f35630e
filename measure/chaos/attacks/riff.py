"""WAV, AIFF and FLAC: headers without end, and headers that state what costs memory."""

from __future__ import annotations

import struct

from measure.chaos.attacks import Crc, named, repeated

PCM, MS_ADPCM, IMA_ADPCM, GSM = 1, 2, 0x11, 0x31
crc8, crc16 = Crc(8, 0x07), Crc(16, 0x8005)  # of a FLAC frame: its header, the whole


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(
    tag: int,
    data: bytes,
    *,
    channels: int = 1,
    rate: int = 16_000,
    align: int = 2,
    extra: bytes = b"",
    more: bytes = b"",
) -> bytes:
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, 16 if tag == PCM else 4) + extra
    body = b"WAVE" + chunk(b"fmt ", form) + more + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm(more: bytes) -> bytes:
    return wav(PCM, bytes(32_000), more=more)


def aiff(more: bytes) -> bytes:
    common = struct.pack(">hIhHQ", 1, 16_000, 16, 0x400C, 0xFA00 << 48)
    body = b"AIFF" + chunk(b"COMM", common, ">") + more + chunk(b"SSND", bytes(8 + 32_000), ">")
    return b"FORM" + struct.pack(">I", len(body)) + body


def stream_info(samples: int, rate: int = 16_000, channels: int = 1) -> bytes:
    packed = (rate << 44 | (channels - 1) << 41 | 15 << 36 | samples).to_bytes(8, "big")
    return struct.pack(">HH", 16, 65_535) + bytes(6) + packed + bytes(16)


def flac(blocks: bytes, frames: bytes, samples: int = 0) -> bytes:
    info = stream_info(samples)
    return b"fLaC" + bytes([0, 0, 0, len(info)]) + info + blocks + b"\x81\0\0\0" + frames


def frame(number: int, samples: int = 65_536) -> bytes:
    """A frame of silence (RFC 9639, section 9), in 14 bytes at most."""
    coded = bytes([number]) if number < 128 else bytes([0xC0 | number >> 6, 0x80 | number & 0x3F])
    head = b"\xff\xf8\x70\x08" + coded + struct.pack(">H", samples - 1)
    body = head + bytes([crc8(head)]) + b"\0\0\0"  # one constant subframe
    return body + struct.pack(">H", crc16(body))


def headers(size: int) -> bytes:
    """Frame headers whose checksums are right, and no frames: FFmpeg's parser weighs each named the ones before."""
    head = b"\xff\xf8\xc9\x08\x00"
    return repeated(head + bytes([crc8(head)]), size)


def seek_points(size: int) -> bytes:
    table = bytes(min(size, 0xFFFFFF))
    return flac(b"\3" + len(table).to_bytes(3, "big") + table, frame(0, 16_000), 16_000)


def marks(size: int) -> bytes:
    return aiff(chunk(b"MARK", struct.pack(">H", 65_535) + bytes(min(size, 65_535 * 8)), ">"))


def gsm(size: int) -> bytes:
    return wav(GSM, bytes(min(size, 195_000)), rate=8000, align=65, extra=struct.pack("<HH", 2, 320))


# how many there are, overstated
CUES, LOOPS = struct.pack("<I", 1 << 30), bytes(28) + struct.pack("<II", 1 << 28, 0)
FLAC_SYNC = b"\xff\xf8\xc9\x18\0\0"
ATTACKS = named(
    {
        "WAV: chunks without end": lambda size: pcm(repeated(chunk(b"junk", b""), size)),
        "WAV: texts without end": lambda size: pcm(
            chunk(b"LIST", b"INFO" + repeated(chunk(b"INAM", b"a\0"), size))
        ),
        "WAV: cue points without end": lambda size: pcm(chunk(b"cue ", CUES + bytes(size))),
        "WAV: loops without end": lambda size: pcm(chunk(b"smpl", LOOPS + bytes(size))),
        "WAV: GSM 6.10": gsm,
        "AIFF: chunks without end": lambda size: aiff(repeated(chunk(b"junk", b"", ">"), size)),
        "AIFF: texts without end": lambda size: aiff(repeated(chunk(b"NAME", b"ab", ">"), size)),
        "AIFF: marks without end": marks,
        "FLAC: metadata without end": lambda size: flac(
            repeated(b"\2\0\0\4test", size), frame(0, 16_000), 16_000
        ),
        "FLAC: seek points without end": seek_points,
        "FLAC: frame headers without frames, no length": lambda size: flac(b"", frame(0) + headers(size)),
        "FLAC: frame headers without frames": lambda size: flac(b"", frame(0) + headers(size), 65_536),
        "FLAC: sync words with nothing behind them": lambda size: flac(
            b"", frame(0) + repeated(FLAC_SYNC, size), 65_536
        ),
    }
)
