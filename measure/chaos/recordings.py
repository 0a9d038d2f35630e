"""Audio made on the spot: every container and codec that decoding supports, for fuzzing and for tests of decoding."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.float32]  # (channels, samples)
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def tones(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> Samples:
    """A different tone in each channel, below half of any supported rate, over a little noise."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal((channels, len(time)))
    pitches = 220.0 * (1 + np.arange(channels))[:, None]
    return (0.3 * np.sin(2 * np.pi * pitches * time) + 0.003 * noise).astype(np.float32)


def by_libsndfile(container: str, subtype: str, samples: Samples, rate: int) -> bytes:
    body = io.BytesIO()
    soundfile.write(body, samples.T, rate, format=container, subtype=subtype)
    return body.getvalue()


def by_ffmpeg(
    container: str,
    codec: str,
    samples: Samples,
    rate: int,
    *,
    muxer: dict[str, str] | None = None,
    encoder: dict[str, str] | None = None,
    seekable: bool = True,
) -> bytes:
    """Encode with PyAV; `seekable=False` writes as ffmpeg does into a pipe."""
    body = io.BytesIO()
    layout = LAYOUTS[len(samples)]
    out = body if seekable else _Pipe(body)
    with av.open(out, "w", format=container, options=muxer or {}) as writer:
        stream: Any = writer.add_stream(codec, rate=rate, layout=layout, options=encoder or {})
        # packed: PyAV counts nine planes where there are eight
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return body.getvalue()


def remuxed(data: bytes, source: str, container: str) -> bytes:
    """The same packets in another container."""
    body = io.BytesIO()
    with (
        av.open(io.BytesIO(data), "r", format=source) as reader,
        av.open(body, "w", format=container) as writer,
    ):
        stream = writer.add_stream_from_template(reader.streams.audio[0])
        for packet in reader.demux(audio=0):
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    return body.getvalue()


class _Pipe:
    def __init__(self, body: io.BytesIO) -> None:
        self.write = body.write


def _caf(
    codec: bytes, rate: int, frames: int, channels: int, packets: list[bytes], cookie: bytes = b""
) -> bytes:
    """Packets of `frames` samples in Core Audio's container, in which FFmpeg's muxer writes neither AAC nor Opus."""
    sizes = b"".join(bytes([len(packet) >> 7 | 0x80, len(packet) & 0x7F]) for packet in packets)
    chunks = {
        b"desc": struct.pack(">d4s5I", rate, codec, 0, 0, frames, channels, 0),
        b"kuki": cookie,
        b"pakt": struct.pack(">qqii", len(packets), frames * len(packets), 0, 0) + sizes,
        b"data": bytes(4) + b"".join(packets),
    }
    parts = [name + struct.pack(">q", len(content)) + content for name, content in chunks.items() if content]
    return b"caff\0\1\0\0" + b"".join(parts)


def _packets(data: bytes, source: str) -> list[bytes]:
    with av.open(io.BytesIO(data), "r", format=source) as reader:
        return [bytes(packet) for packet in reader.demux(audio=0) if packet.size]


def _caf_aac(samples: Samples, rate: int) -> bytes:
    stream = by_ffmpeg("adts", "aac", samples, rate)
    # AAC-LC, rate, channels
    config = struct.pack(">H", 2 << 11 | (stream[2] >> 2 & 15) << 7 | len(samples) << 3)
    decoder = b"\x40\x15" + bytes(11) + b"\x05" + bytes([len(config)]) + config
    stream_descriptor = bytes(3) + b"\x04" + bytes([len(decoder)]) + decoder
    cookie = bytes(4) + b"\x03" + bytes([len(stream_descriptor)]) + stream_descriptor
    packets = [packet[7:] for packet in _packets(stream, "aac")]  # without ADTS's headers
    return _caf(b"aac ", rate, 1024, len(samples), packets, cookie)


def _caf_opus(samples: Samples, rate: int) -> bytes:
    packets = _packets(by_ffmpeg("webm", "libopus", samples, rate), "matroska,webm")
    return _caf(b"opus", 48_000, 960, len(samples), packets)


def _renamed(data: bytes, at: int, name: bytes) -> bytes:
    return data[:at] + name + data[at + len(name) :]


def _wav(subtype: str) -> Callable[[Samples, int], bytes]:
    return lambda samples, rate: by_libsndfile("WAV", subtype, samples, rate)


# name → (encode, rate, channels); one of every supported container and codec
FORMATS: dict[str, tuple[Callable[[Samples, int], bytes], int, int]] = {
    **{
        f"WAV {subtype}": (_wav(subtype), 44_100, 2)
        for subtype in (
            "PCM_U8",
            "PCM_16",
            "PCM_24",
            "PCM_32",
            "FLOAT",
            "DOUBLE",
            "ALAW",
            "ULAW",
            "IMA_ADPCM",
        )
    },
    "WAV MS_ADPCM": (_wav("MS_ADPCM"), 22_050, 2),
    "WAV GSM610": (_wav("GSM610"), 8_000, 1),
    "WAV extensible": (lambda x, r: by_libsndfile("WAVEX", "PCM_16", x, r), 48_000, 6),
    "RF64": (lambda x, r: by_libsndfile("RF64", "PCM_16", x, r), 44_100, 2),
    "WAV from a pipe": (lambda x, r: by_ffmpeg("wav", "pcm_s16le", x, r, seekable=False), 44_100, 2),
    "WAV G.722": (lambda x, r: by_ffmpeg("wav", "g722", x, r), 16_000, 1),
    "WAV MP3": (lambda x, r: by_ffmpeg("wav", "libmp3lame", x, r), 44_100, 2),
    "BW64": (lambda x, r: _renamed(by_libsndfile("RF64", "PCM_16", x, r), 0, b"BW64"), 44_100, 2),
    "W64": (lambda x, r: by_libsndfile("W64", "PCM_16", x, r), 44_100, 2),
    "W64 float": (lambda x, r: by_ffmpeg("w64", "pcm_f32le", x, r), 44_100, 2),
    "AU": (lambda x, r: by_libsndfile("AU", "PCM_16", x, r), 44_100, 2),
    "AU µ-law": (lambda x, r: by_libsndfile("AU", "ULAW", x, r), 8_000, 1),
    "AU from a pipe": (lambda x, r: by_ffmpeg("au", "pcm_s16be", x, r, seekable=False), 16_000, 1),
    "NIST SPHERE": (lambda x, r: by_libsndfile("NIST", "PCM_16", x, r), 16_000, 2),
    "NIST SPHERE µ-law": (lambda x, r: by_libsndfile("NIST", "ULAW", x, r), 8_000, 2),
    "VOC": (lambda x, r: by_ffmpeg("voc", "pcm_s16le", x, r), 44_100, 2),
    "CAF": (lambda x, r: by_libsndfile("CAF", "PCM_16", x, r), 44_100, 2),
    "CAF ALAC": (lambda x, r: by_libsndfile("CAF", "ALAC_16", x, r), 44_100, 2),
    "CAF AAC": (_caf_aac, 44_100, 2),
    "CAF Opus": (_caf_opus, 48_000, 1),
    "AIFF": (lambda x, r: by_libsndfile("AIFF", "PCM_16", x, r), 44_100, 2),
    "AIFF 24 bit": (lambda x, r: by_libsndfile("AIFF", "PCM_24", x, r), 44_100, 2),
    "AIFC float": (lambda x, r: by_libsndfile("AIFF", "FLOAT", x, r), 44_100, 2),
    "AIFC A-law": (lambda x, r: by_libsndfile("AIFF", "ALAW", x, r), 8_000, 1),
    "FLAC": (lambda x, r: by_libsndfile("FLAC", "PCM_16", x, r), 44_100, 2),
    "FLAC 24 bit": (lambda x, r: by_libsndfile("FLAC", "PCM_24", x, r), 96_000, 2),
    "FLAC from a pipe": (lambda x, r: by_ffmpeg("flac", "flac", x, r, seekable=False), 44_100, 2),
    "Ogg Vorbis": (lambda x, r: by_libsndfile("OGG", "VORBIS", x, r), 44_100, 2),
    "Ogg Opus": (lambda x, r: by_libsndfile("OGG", "OPUS", x, r), 48_000, 2),
    "Ogg FLAC": (lambda x, r: by_ffmpeg("ogg", "flac", x, r), 44_100, 2),
    "MP3": (lambda x, r: by_libsndfile("MP3", "MPEG_LAYER_III", x, r), 44_100, 2),
    "MP3 with ID3": (lambda x, r: by_ffmpeg("mp3", "libmp3lame", x, r), 44_100, 2),
    "MP3 bare": (
        lambda x, r: by_ffmpeg("mp3", "libmp3lame", x, r, muxer={"write_xing": "0", "id3v2_version": "0"}),
        22_050,
        1,
    ),
    "MP2": (lambda x, r: by_ffmpeg("mp2", "mp2", x, r), 44_100, 2),
    "M4A": (lambda x, r: by_ffmpeg("ipod", "aac", x, r), 44_100, 2),
    "M4A ALAC": (lambda x, r: by_ffmpeg("ipod", "alac", x, r), 44_100, 2),
    "MP4 in fragments": (
        lambda x, r: by_ffmpeg("mp4", "aac", x, r, muxer={"movflags": "frag_keyframe+empty_moov"}),
        44_100,
        2,
    ),
    "MOV PCM": (lambda x, r: by_ffmpeg("mov", "pcm_s16le", x, r), 44_100, 2),
    # a `wide` box, which reserves room for a long size, is how files from before `ftyp` begin
    "MOV without ftyp": (lambda x, r: _renamed(by_ffmpeg("mov", "pcm_s16le", x, r), 4, b"wide"), 44_100, 2),
    "ADTS AAC": (lambda x, r: by_ffmpeg("adts", "aac", x, r), 44_100, 2),
    "WebM Opus": (lambda x, r: by_ffmpeg("webm", "libopus", x, r), 48_000, 1),
    "WebM Opus from a browser": (
        lambda x, r: by_ffmpeg("webm", "libopus", x, r, muxer={"live": "1"}, seekable=False),
        48_000,
        1,
    ),
    "Matroska Vorbis": (
        lambda x, r: remuxed(by_libsndfile("OGG", "VORBIS", x, r), "ogg", "matroska"),
        44_100,
        2,
    ),
    "Matroska FLAC": (lambda x, r: by_ffmpeg("matroska", "flac", x, r), 44_100, 2),
    "Matroska PCM": (lambda x, r: by_ffmpeg("matroska", "pcm_s16le", x, r), 44_100, 2),
    "AMR": (lambda x, r: by_ffmpeg("amr", "libopencore_amrnb", x, r), 8_000, 1),
    "3GP AMR": (lambda x, r: by_ffmpeg("3gp", "libopencore_amrnb", x, r), 8_000, 1),
}


def recording(name: str, seconds: float = 0.6) -> bytes:
    encode, rate, channels = FORMATS[name]
    return encode(tones(seconds, rate, channels), rate)
