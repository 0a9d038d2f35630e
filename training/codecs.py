"""Round trips through what telephones and uploads do to a voice.

Every function takes and gives float32 [samples] at 16 kHz, full scale ±1, and keeps the length.
"""

import io

import av
import numpy as np
import soundfile

from training import SAMPLE_RATE
from training.waveform import Waveform, resample, to_float, to_pcm

TELEPHONE_RATE = 8_000  # Hz
MU = 255  # ITU-T G.711, µ-law


def telephone(waveform: Waveform) -> Waveform:
    """8 kHz and back: nothing above 4 kHz is left."""
    return _from(resample(waveform, SAMPLE_RATE, TELEPHONE_RATE), TELEPHONE_RATE, waveform)


def mu_law(waveform: Waveform) -> Waveform:
    """8 kHz µ-law (the continuous companding curve of G.711, 8 bit)."""
    narrow = np.clip(resample(waveform, SAMPLE_RATE, TELEPHONE_RATE), -1, 1)
    code = np.rint(np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU) * 127) / 127
    decoded = np.sign(code) * np.expm1(np.abs(code) * np.log1p(MU)) / MU
    return _from(decoded.astype(np.float32), TELEPHONE_RATE, waveform)


def gsm(waveform: Waveform) -> Waveform:
    """GSM 06.10 full rate, 13 kbit/s at 8 kHz."""
    return _soundfile_round_trip(waveform, TELEPHONE_RATE, "WAV", "GSM610")


def amr(waveform: Waveform, bit_rate: int) -> Waveform:
    """AMR narrow band at 8 kHz, 4750–12200 bit/s."""
    return _av_round_trip(waveform, TELEPHONE_RATE, "libopencore_amrnb", "amr", bit_rate)


def mp3(waveform: Waveform, bit_rate: int, rate: int = SAMPLE_RATE) -> Waveform:
    """MP3 at ``bit_rate`` bit/s and ``rate`` Hz."""
    return _av_round_trip(waveform, rate, "libmp3lame", "mp3", bit_rate)


def opus(waveform: Waveform, bit_rate: int) -> Waveform:
    """Opus in Ogg at ``bit_rate`` bit/s, 16 kHz in, 48 kHz out as the codec has it."""
    return _av_round_trip(waveform, SAMPLE_RATE, "libopus", "ogg", bit_rate)


def vorbis(waveform: Waveform, quality: float, rate: int = SAMPLE_RATE) -> Waveform:
    """Vorbis in Ogg, ``quality`` from 0 (worst) to 1 (best)."""
    return _soundfile_round_trip(waveform, rate, "OGG", "VORBIS", 1 - quality)


def _av_round_trip(waveform: Waveform, rate: int, codec: str, container: str, bit_rate: int) -> Waveform:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = bit_rate
        encoder = stream.codec_context
        encoder.open()
        frame = av.AudioFrame.from_ndarray(to_pcm(resample(waveform, SAMPLE_RATE, rate))[None], "s16", "mono")
        frame.sample_rate, frame.pts = rate, 0
        feeder = av.AudioResampler(encoder.format, "mono", rate, frame_size=encoder.frame_size or 0)
        for part in [*feeder.resample(frame), *feeder.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))

    buffer.seek(0)
    with av.open(buffer) as decoded:
        rate = decoded.streams.audio[0].codec_context.sample_rate
        reader = av.AudioResampler("s16", "mono", rate)
        frames = [part for frame in decoded.decode(audio=0) for part in reader.resample(frame)]
        pcm = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    return _from(to_float(pcm), rate, waveform)


def _soundfile_round_trip(
    waveform: Waveform, rate: int, container: str, subtype: str, compression: float | None = None
) -> Waveform:
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        resample(waveform, SAMPLE_RATE, rate),
        rate,
        format=container,
        subtype=subtype,
        compression_level=compression,
    )
    buffer.seek(0)
    decoded, rate = soundfile.read(buffer, dtype="float32")
    return _from(decoded, rate, waveform)


def _from(decoded: Waveform, rate: int, original: Waveform) -> Waveform:
    """``decoded`` back at 16 kHz and, as codecs pad, at the original's length."""
    wide = resample(decoded, rate)[: len(original)]
    return np.pad(wide, (0, len(original) - len(wide)))
