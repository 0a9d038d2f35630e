"""What is sent: clips of 3 s, requests of 64 of them, and a recording, all of the demo's voices."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure.loadtest.clips import Clip, cut
from measure.workload import speech, wav

CLIP_SECONDS = 3.0
MANY = 64  # clips of a large request
LONG_CLIP_SECONDS = 120.0  # which a recording's memory is compared with
WINDOW_SECONDS = 3.0
# kinds of work whose cost is measured
SINGLE, LONG = f"clips of {CLIP_SECONDS:g} s", f"a clip of {LONG_CLIP_SECONDS:g} s"
IN_WINDOWS = f"a recording in windows of {WINDOW_SECONDS:g} s"


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
    def write(cls, folder: Path, seconds: float) -> Sounds:
        """Make them of the samples."""
        clips = cut(folder, CLIP_SECONDS, every=True)
        texts = [base64.b64encode(clip.path.read_bytes()).decode() for clip in clips]
        instances = [{"b64": texts[number % len(texts)]} for number in range(MANY)]
        return cls(
            tuple(clips),
            json.dumps({"instances": instances}).encode(),
            wav(speech(seconds)),
            seconds,
            wav(speech(LONG_CLIP_SECONDS)),
        )
