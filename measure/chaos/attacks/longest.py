"""The longest recordings that the limits allow, in every codec, at its highest rate and with its most channels."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import av
import numpy as np
import soundfile
from speaker_id.clip import MAX_CHANNELS, MAX_SAMPLE_RATE

from measure.chaos.attacks import Build, named, ogg, others, riff
from measure.chaos.recordings import LAYOUTS, Samples

SECONDS = 119
FULL_SIZE = 1 << 20  # bytes of body from which on a recording is as long as may be; tests take less
MOST_BYTES = 31 << 20  # what the gateway lets in, less the headers
QUIET = 0.7 / 32768  # so quiet that 120 s of eight channels fit into a body without loss
LOUD = 0.1
SPEEX_RATE = 96_000  # Hz; at more, packets would be shorter than any codec's


def seconds(size: int) -> int:
    return max(1, min(SECONDS, SECONDS * size // FULL_SIZE))


def noise(rate: int, channels: int, level: float, seed: int = 0) -> Samples:
    """One second: no codec gets it for nothing."""
    one: Samples = np.random.default_rng(seed).standard_normal((channels, rate), np.float32)
    one *= np.float32(level)
    return one


def by_libsndfile(container: str, subtype: str, level: float) -> Build:
    def build(size: int) -> bytes:
        body, second = io.BytesIO(), noise(MAX_SAMPLE_RATE, MAX_CHANNELS, level).T
        with soundfile.SoundFile(
            body, "w", MAX_SAMPLE_RATE, MAX_CHANNELS, format=container, subtype=subtype
        ) as writer:
            for _ in range(seconds(size)):
                if body.tell() + len(second) * MAX_CHANNELS * 4 > MOST_BYTES:
                    break
                writer.write(second)
        return body.getvalue()

    return build


def encoded(
    container: str,
    codec: str,
    rate: int,
    channels: int,
    level: float,
    muxer: dict[str, str] | None = None,
    **options: str,
) -> Build:
    """Second after second through FFmpeg's encoder."""

    def build(size: int) -> bytes:
        body, second = io.BytesIO(), noise(rate, channels, level).T.reshape(1, -1)
        with av.open(body, "w", format=container, options=muxer or {}) as writer:
            stream: Any = writer.add_stream(codec, rate=rate, layout=LAYOUTS[channels], options=options)
            for number in range(seconds(size)):
                if body.tell() > MOST_BYTES:
                    break
                frame = av.AudioFrame.from_ndarray(second, format="flt", layout=LAYOUTS[channels])
                frame.sample_rate, frame.pts = rate, number * rate
                writer.mux(stream.encode(frame))
            writer.mux(stream.encode(None))
        return body.getvalue()

    return build


def again(container: str, codec: str, rate: int, channels: int, **options: str) -> Build:
    """A few seconds of frames without a container, again and again."""
    muxer = {"write_xing": "0", "id3v2_version": "0"} if container == "mp3" else {}

    def build(size: int) -> bytes:
        part = encoded(container, codec, rate, channels, LOUD, muxer, **options)(4 * FULL_SIZE // SECONDS)
        return part * max(1, seconds(size) // 5)

    return build


def packets(head: bytes, packet: int, count: int) -> Build:
    """Frames of random content behind the byte that says their kind, so many a second."""

    def build(size: int) -> bytes:
        draw = random.Random(0)  # noqa: S311  # audio, no secret
        return b"".join(
            [head[:-1]] + [head[-1:] + draw.randbytes(packet - 1) for _ in range(seconds(size) * count)]
        )

    return build


def wav(tag: int, block: int, samples: int, channels: int, extra: bytes = b"") -> Build:
    """Blocks of random content at the highest rate."""

    def build(size: int) -> bytes:
        count = min(MOST_BYTES // block, seconds(size) * MAX_SAMPLE_RATE // samples)
        draw = random.Random(0)  # noqa: S311
        # the first bytes of a block of ADPCM are its state: predictor and step
        blocks = b"".join(bytes(8) + draw.randbytes(block - 8) for _ in range(min(count, 100)))
        data = (blocks * (count // 100 + 1))[: count * block]
        return riff.wav(tag, data, channels=channels, rate=MAX_SAMPLE_RATE, align=block, extra=extra)

    return build


def speex(size: int) -> bytes:
    """Narrow band of 15 kbit/s."""
    draw = random.Random(0)  # noqa: S311
    packet = bytes([0x28]) + draw.randbytes(37)
    count = seconds(size) * SPEEX_RATE // 160
    head = ogg.speex_head(1)
    head = head[:36] + struct.pack("<II", SPEEX_RATE, 0) + head[44:]
    return ogg.stream([head, bytes(8)], count, packet, count * 160)


def g722(size: int) -> bytes:
    samples = random.Random(0).randbytes(seconds(size) * MAX_SAMPLE_RATE // 2)  # noqa: S311
    return others.au(samples, coding=24, rate=MAX_SAMPLE_RATE)


def voc(size: int) -> bytes:
    count = min(seconds(size) * MAX_SAMPLE_RATE, (1 << 24) - 20)  # a block's size has 24 bits
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x10A, 0x1129)
    block = b"\x09" + (12 + count).to_bytes(3, "little") + struct.pack("<IBBHI", MAX_SAMPLE_RATE, 8, 1, 0, 0)
    return head + block + random.Random(0).randbytes(count) + b"\0"  # noqa: S311


MS_COEFFICIENTS = struct.pack("<14h", 256, 0, 512, -256, 0, 0, 192, 64, 240, 0, 460, -208, 392, -232)
RECORDINGS: dict[str, Build] = {
    "WAV: PCM": by_libsndfile("WAV", "PCM_U8", LOUD),
    "WAV: float": by_libsndfile("WAV", "FLOAT", LOUD),
    "WAV: MS ADPCM": wav(riff.MS_ADPCM, 1024, 1012, 2, struct.pack("<HHH", 32, 1012, 7) + MS_COEFFICIENTS),
    "WAV: IMA ADPCM": wav(riff.IMA_ADPCM, 1024, 1017, 2, struct.pack("<HH", 2, 1017)),
    "WAV: GSM 6.10": wav(riff.GSM, 65, 320, 1, struct.pack("<HH", 2, 320)),
    "WAV: G.722": wav(0x028F, 64, 128, 1),
    "AIFF: PCM": by_libsndfile("AIFF", "PCM_S8", LOUD),
    "FLAC: 8 channels, 192 kHz": by_libsndfile("FLAC", "PCM_16", QUIET),
    "Ogg: Vorbis": by_libsndfile("OGG", "VORBIS", QUIET),
    "Ogg: Opus": encoded("ogg", "libopus", 48_000, 8, LOUD, compression_level="0"),
    "Ogg: FLAC": encoded("ogg", "flac", MAX_SAMPLE_RATE, 8, QUIET),
    "Ogg: Speex": speex,
    "WebM/Matroska: Opus": encoded("webm", "libopus", 48_000, 8, LOUD, compression_level="0"),
    "MP4: ALAC": encoded("ipod", "alac", MAX_SAMPLE_RATE, 2, LOUD),
    "AAC: 7.1, 96 kHz": again("adts", "aac", 96_000, 8),
    "MP3: 320 kbit/s": again("mp3", "libmp3lame", 48_000, 2, b="320000"),
    "MP2: 384 kbit/s": again("mp2", "mp2", 48_000, 2, b="384000"),
    "AU: G.722": g722,
    "CAF: ALAC": lambda size: by_libsndfile("CAF", "ALAC_16", QUIET)(size // 2),
    "W64: PCM": by_libsndfile("W64", "PCM_U8", LOUD),
    "VOC: PCM": voc,
    "NIST SPHERE: PCM": by_libsndfile("NIST", "PCM_S8", LOUD),
    "AMR: 12.2 kbit/s": packets(b"#!AMR\n\x3c", 32, 50),
    "AMR: wide band, 23.85 kbit/s": packets(b"#!AMR-WB\n\x44", 61, 50),
}
ATTACKS = named(
    {f"{name}: the longest that is accepted": each for name, each in RECORDINGS.items()}, honest=True
)
