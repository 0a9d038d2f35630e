"""Audio made on the spot: every container and codec that decoding supports, for fuzzing and for tests of decoding."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
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


Encode = Callable[[Samples, int], bytes]
Format = tuple[Encode, int, int]  # encode, rate, channels


def _sndfile(container: str, subtype: str, rate: int = 44_100, channels: int = 2) -> Format:
    return partial(by_libsndfile, container, subtype), rate, channels


def _ffmpeg(container: str, codec: str, rate: int = 44_100, channels: int = 2, **muxer: str) -> Format:
    return partial(by_ffmpeg, container, codec, muxer=muxer), rate, channels


def _piped(container: str, codec: str, rate: int = 44_100, channels: int = 2, **muxer: str) -> Format:
    return partial(by_ffmpeg, container, codec, muxer=muxer, seekable=False), rate, channels


def _changed(change: Callable[[bytes], bytes], format: Format) -> Format:
    encode, rate, channels = format
    return lambda samples, rate: change(encode(samples, rate)), rate, channels


WAV_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW", "IMA_ADPCM")
FORMATS: dict[str, Format] = {  # one of every supported container and codec
    **{f"WAV {subtype}": _sndfile("WAV", subtype) for subtype in WAV_SUBTYPES},
    "WAV MS_ADPCM": _sndfile("WAV", "MS_ADPCM", 22_050),
    "WAV GSM610": _sndfile("WAV", "GSM610", 8_000, 1),
    "WAV extensible": _sndfile("WAVEX", "PCM_16", 48_000, 6),
    "RF64": _sndfile("RF64", "PCM_16"),
    "WAV from a pipe": _piped("wav", "pcm_s16le"),
    "WAV G.722": _ffmpeg("wav", "g722", 16_000, 1),
    "WAV MP3": _ffmpeg("wav", "libmp3lame"),
    "BW64": _changed(lambda data: b"BW64" + data[4:], _sndfile("RF64", "PCM_16")),
    "W64": _sndfile("W64", "PCM_16"),
    "W64 float": _ffmpeg("w64", "pcm_f32le"),
    "AU": _sndfile("AU", "PCM_16"),
    "AU µ-law": _sndfile("AU", "ULAW", 8_000, 1),
    "AU from a pipe": _piped("au", "pcm_s16be", 16_000, 1),
    "NIST SPHERE": _sndfile("NIST", "PCM_16", 16_000),
    "NIST SPHERE µ-law": _sndfile("NIST", "ULAW", 8_000),
    "VOC": _ffmpeg("voc", "pcm_s16le"),
    "CAF": _sndfile("CAF", "PCM_16"),
    "CAF ALAC": _sndfile("CAF", "ALAC_16"),
    "CAF AAC": (_caf_aac, 44_100, 2),
    "CAF Opus": (_caf_opus, 48_000, 1),
    "AIFF": _sndfile("AIFF", "PCM_16"),
    "AIFF 24 bit": _sndfile("AIFF", "PCM_24"),
    "AIFC float": _sndfile("AIFF", "FLOAT"),
    "AIFC A-law": _sndfile("AIFF", "ALAW", 8_000, 1),
    "FLAC": _sndfile("FLAC", "PCM_16"),
    "FLAC 24 bit": _sndfile("FLAC", "PCM_24", 96_000),
    "FLAC from a pipe": _piped("flac", "flac"),
    "Ogg Vorbis": _sndfile("OGG", "VORBIS"),
    "Ogg Opus": _sndfile("OGG", "OPUS", 48_000),
    "Ogg FLAC": _ffmpeg("ogg", "flac"),
    "MP3": _sndfile("MP3", "MPEG_LAYER_III"),
    "MP3 with ID3": _ffmpeg("mp3", "libmp3lame"),
    "MP3 bare": _ffmpeg("mp3", "libmp3lame", 22_050, 1, write_xing="0", id3v2_version="0"),
    "MP2": _ffmpeg("mp2", "mp2"),
    "M4A": _ffmpeg("ipod", "aac"),
    "M4A ALAC": _ffmpeg("ipod", "alac"),
    "MP4 in fragments": _ffmpeg("mp4", "aac", movflags="frag_keyframe+empty_moov"),
    "MOV PCM": _ffmpeg("mov", "pcm_s16le"),
    # a `wide` box, which reserves room for a long size, is how files from before `ftyp` begin
    "MOV without ftyp": _changed(lambda data: data[:4] + b"wide" + data[8:], _ffmpeg("mov", "pcm_s16le")),
    "ADTS AAC": _ffmpeg("adts", "aac"),
    "WebM Opus": _ffmpeg("webm", "libopus", 48_000, 1),
    "WebM Opus from a browser": _piped("webm", "libopus", 48_000, 1, live="1"),
    "Matroska Vorbis": _changed(lambda data: remuxed(data, "ogg", "matroska"), _sndfile("OGG", "VORBIS")),
    "Matroska FLAC": _ffmpeg("matroska", "flac"),
    "Matroska PCM": _ffmpeg("matroska", "pcm_s16le"),
    "AMR": _ffmpeg("amr", "libopencore_amrnb", 8_000, 1),
    "3GP AMR": _ffmpeg("3gp", "libopencore_amrnb", 8_000, 1),
}


def recording(name: str, seconds: float = 0.6) -> bytes:
    encode, rate, channels = FORMATS[name]
    return encode(tones(seconds, rate, channels), rate)
