"""What is sent: clips of 3 s, requests of 64 of them, and a recording, all of the demo's voices."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from measure.loadtest.target import Clip

RATE = 16_000  # Hz
CLIP_SECONDS = 3.0
MANY = 64  # clips of a large request
LONG_CLIP_SECONDS = 120.0  # which a recording's memory is compared with
WINDOW_SECONDS = 3.0
# kinds of work whose cost is measured
SINGLE, LONG = f"clips of {CLIP_SECONDS:g} s", f"a clip of {LONG_CLIP_SECONDS:g} s"
IN_WINDOWS = f"a recording in windows of {WINDOW_SECONDS:g} s"
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sounds:
    """Written into a folder of their own.

    Attributes:
        clips: of CLIP_SECONDS.
        many: the body of a v1 request of MANY of them.
        recording: a file's bytes.
        seconds: of the recording.
        long_clip: bytes of one of LONG_CLIP_SECONDS.
    """

    clips: Sequence[Clip]
    many: bytes
    recording: bytes
    seconds: float
    long_clip: bytes

    @classmethod
    def write(cls, samples: Path, folder: Path, seconds: float) -> Sounds:
        """Make them of a folder's clips."""
        voices = [soundfile.read(path, dtype="float32")[0] for path in sorted(samples.glob("*.flac"))]
        clips = []
        for number, voice in enumerate(voices):
            path = folder / f"{number}.wav"
            path.write_bytes(wav(lasting(voice, CLIP_SECONDS)))
            clips.append(Clip(path.name, path, CLIP_SECONDS, "audio/wav"))
        texts = [base64.b64encode(clip.path.read_bytes()).decode() for clip in clips]
        instances = [{"b64": texts[number % len(texts)]} for number in range(MANY)]
        joined = np.concatenate(voices)
        return cls(
            tuple(clips),
            json.dumps({"instances": instances}).encode(),
            wav(lasting(joined, seconds)),
            seconds,
            wav(lasting(joined, LONG_CLIP_SECONDS)),
        )


def lasting(samples: Samples, seconds: float) -> Samples:
    """Return samples that last so long: repeated, or cut."""
    return np.resize(samples, round(seconds * RATE))


def wav(samples: Samples) -> bytes:
    made = io.BytesIO()
    soundfile.write(made, samples, RATE, format="WAV", subtype="PCM_16")
    return made.getvalue()
