"""AU, CAF, VOC, W64, NIST SPHERE and MP2: headers without end; and recordings joined to no end."""

from __future__ import annotations

import struct

from measure.chaos.attacks import mpeg, named, riff

RATE = 16_000
MP2_FRAME = b"\xff\xf5\x14\xc4".ljust(48, b"\0")  # MPEG 2 Layer II of 8 kbit/s at 24 kHz: 1152 samples


def au(samples: bytes, comment: bytes = b"", coding: int = 3, rate: int = RATE) -> bytes:
    return struct.pack(">4s5I", b".snd", 24 + len(comment), len(samples), coding, rate, 1) + comment + samples


def caf_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">q", len(content)) + content


def caf(
    more: bytes = b"",
    codec: bytes = b"lpcm",
    packet: int = 2,
    frames: int = 1,
    content: bytes = bytes(32_000),
) -> bytes:
    description = struct.pack(">d4s5I", RATE, codec, 0, packet, frames, 1, 16 if packet else 0)
    return b"caff\0\1\0\0" + caf_chunk(b"desc", description) + more + caf_chunk(b"data", bytes(4) + content)


def texts(count: int) -> bytes:
    return caf_chunk(b"info", struct.pack(">I", count) + b"a\0b\0" * count)


CLAIM = struct.pack(">qqii", 1 << 31, 1 << 40, 0, 0)


def packet_table(size: int) -> bytes:
    """AAC packets of one byte each."""
    table = struct.pack(">qqii", size, size * 1024, 0, 0) + b"\1" * size
    return caf(caf_chunk(b"pakt", table), b"aac ", 0, 1024, bytes(size))


def voc(blocks: bytes) -> bytes:
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x10A, 0x1129)
    sound = struct.pack("<IBBHI", RATE, 16, 1, 4, 0) + bytes(32_000)
    return head + blocks + b"\x09" + len(sound).to_bytes(3, "little") + sound + b"\0"


def w64_chunk(name: bytes, content: bytes) -> bytes:
    guid = name + (b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a")
    return guid + struct.pack("<Q", 24 + len(content)) + content + bytes(-len(content) % 8)


def w64(more: bytes) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = w64_chunk(b"fmt ", form) + more + w64_chunk(b"data", bytes(32_000))
    riff_guid = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
    wave_guid = b"wave\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
    return riff_guid + struct.pack("<Q", 40 + len(body)) + wave_guid + body


def sphere(fields: bytes) -> bytes:
    usual = b"sample_rate -i 16000\nchannel_count -i 1\nsample_n_bytes -i 2\nsample_byte_format -s2 01\n"
    header = b"NIST_1A\n%7d\n" % (1 << 16) + usual + fields + b"end_head\n"
    return header.ljust(1 << 16)[: 1 << 16] + bytes(32_000)


def joined(part: bytes) -> bytes:
    """As many recordings as may be in one body, each an opening."""
    return part * 64


# what an expression with two stretches of blanks tries in every way
SPACES = b"a -s9 " + b" " * 60_000 + b"x\n"
ATTACKS = named(
    {
        "AU: a comment of the whole body": lambda size: au(bytes(32_000), bytes(size)),
        "AU: G.721: samples of four bits": lambda size: au(bytes(min(size, 900_000)), coding=23),
        "CAF: chunks without end": lambda size: caf(caf_chunk(b"free", b"") * (size // 12)),
        "CAF: texts without end": lambda size: caf(texts(size // 4)),
        "CAF: AAC: packets of one byte": lambda size: packet_table(size // 2),
        "CAF: 2^31 packets claimed": lambda _: caf(caf_chunk(b"pakt", CLAIM), b"aac ", 0, 1024),
        "VOC: blocks without end": lambda size: voc(b"\5\1\0\0a" * (size // 5)),
        "VOC: silence without end": lambda size: voc(b"\3\3\0\0\xff\xff\x83" * (size // 7)),
        "W64: chunks without end": lambda size: w64(w64_chunk(b"junk", b"") * (size // 24)),
        "NIST SPHERE: fields without end": lambda _: sphere(b"a -i 1\n" * 9_000),
        "NIST SPHERE: blanks without end": lambda _: sphere(SPACES),
        "MP2: sync words with nothing behind them": lambda size: MP2_FRAME * 60 + MP2_FRAME[:4] * (size // 4),
        "MP2: tags between the frames": lambda size: (MP2_FRAME + mpeg.id3(b"")) * (size // 58),
        "FLAC: joined recordings": lambda _: joined(riff.flac(b"", riff.frame(0, 16_000), 16_000)),
        "WAV: joined recordings": lambda _: joined(riff.wav(riff.PCM, bytes(2000))),
    }
)
