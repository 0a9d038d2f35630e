"""FFmpeg's decoded frames → blocks of float32 samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from av.audio.frame import format_dtypes

from speaker_id.audio.layout import Block, check_layout

# Joined before they are resampled: a codec's own frames are as short as 20 ms. Too few: mixing and resampling cost what
# a call costs. Too many: the frames, their block and its mean leave the processor's cache before they are read.
BLOCK_FRAMES = 1 << 15


def join(frames: Iterator[Any]) -> Iterator[Block]:
    """Join frames to blocks of one sampling rate, layout and format: a codec's frames are as short as 20 ms."""
    kind: tuple[int, int, str] | None = None
    waiting: list[Any] = []
    length = 0
    for frame in frames:
        if not frame.samples:
            continue
        arrived = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if arrived != kind or length >= BLOCK_FRAMES:
            yield from _drain(waiting)
            check_layout(frame.sample_rate, frame.layout.nb_channels)
            waiting, length, kind = [], 0, arrived
        waiting.append(frame)
        length += frame.samples
    yield from _drain(waiting)


def _drain(frames: list[Any]) -> Iterator[Block]:
    if frames:
        yield Block(to_float(frames), frames[0].sample_rate)


def to_float(frames: Sequence[Any]) -> npt.NDArray[np.float32]:
    """Convert decoded frames of one format to float32, (channels, samples), full scale at ±1."""
    first = frames[0]
    channels, dtype = first.layout.nb_channels, np.dtype(format_dtypes[first.format.name])
    # Plane by plane: `frame.to_ndarray()` in PyAV 18.1 takes eight planes for nine and crashes; its AudioFifo copies
    # everything that it holds for each frame.
    count, values = (channels, 1) if first.format.is_planar else (1, channels)
    lengths = [values * frame.samples for frame in frames]
    buffers = [frame.planes for frame in frames]  # once: PyAV makes an object of each at every call
    samples = np.empty((count, sum(lengths)), dtype)
    for index, joined in enumerate(samples):
        pairs = zip(buffers, lengths, strict=True)
        np.concatenate([np.frombuffer(planes[index], dtype, length) for planes, length in pairs], out=joined)
    if not first.format.is_planar:
        samples = samples.reshape(-1, channels).T
    if samples.dtype == np.uint8:
        samples = samples.view(np.int8) ^ np.int8(-128)  # unsigned bytes are biased by half the scale
    if samples.dtype.kind == "i":
        full_scale = np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
        samples = np.divide(samples, full_scale, dtype=np.float32, casting="unsafe")
    return np.asarray(samples, np.float32)
