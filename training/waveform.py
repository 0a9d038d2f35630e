"""The waveform every stage works on, and how a prompt's file becomes one."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soxr

from training import SAMPLE_RATE

Waveform = npt.NDArray[np.float32]  # [samples], mono, full scale ±1
Pcm = npt.NDArray[np.int16]  # [samples], mono

CONTAINERS = {".g722": "g722", ".gsm": "gsm", ".wav": "wav"}  # headerless codecs need their format named


def to_float(pcm: Pcm) -> Waveform:
    return np.divide(pcm, 32768, dtype=np.float32)


def to_pcm(waveform: Waveform) -> Pcm:
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)


def decode(path: Path) -> tuple[Waveform, int]:
    """A prompt's waveform and its sampling rate in Hz, as recorded."""
    with av.open(str(path), format=CONTAINERS.get(path.suffix)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="s16", layout="mono")
        frames = [part for frame in container.decode(stream) for part in resampler.resample(frame)]
        if not frames:  # some packages hold empty files
            return np.zeros(0, np.float32), stream.codec_context.sample_rate
        pcm = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
        return to_float(pcm), stream.codec_context.sample_rate


def resample(waveform: Waveform, rate: int, target: int = SAMPLE_RATE) -> Waveform:
    """float32 [samples] at ``rate`` Hz → float32 at ``target`` Hz (soxr, high quality)."""
    return waveform if rate == target else np.asarray(soxr.resample(waveform, rate, target), np.float32)
