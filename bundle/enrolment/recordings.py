"""Folders of audio → the clips of each voice: one folder a voice, its name the label."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track
from speaker_id import audio
from speaker_id.calibrated import UNKNOWN
from speaker_id.clip import EncodedAudio, Waveform
from speaker_id.errors import RequestError
from speaker_id.gallery_manifest import LABEL

from bundle import BundleError
from bundle.samples import recordings

MIN_CLIPS = 3  # one left out, two that it is compared with
MIN_SPEECH_SECONDS = 10.0
SHORTEST = 0.5  # seconds of a clip; shorter ones say too little of a voice
FRAME_SECONDS = 0.02
FLOOR_DB = -35.0  # below the loudest frame: not speech
MAX_SECONDS = 600.0


@dataclass(frozen=True)
class Recording:
    """One usable clip: whose it is, its name for reports, its samples and its seconds of speech."""

    person: str
    name: str
    waveform: Waveform
    speech: float


@dataclass(frozen=True)
class Reader:
    """Audio files → recordings at a model's sampling rate."""

    sampling_rate: int
    say: Callable[[str], None]

    def voices(self, folder: Path) -> dict[str, list[Recording]]:
        """Every subfolder's recordings, by its name.

        Raises:
            BundleError: there is no voice, or one has too little speech; says how much is missing.
        """
        if not folder.is_dir():
            raise BundleError(
                f"VOICES={folder} is no folder: put each voice's recordings in a folder of its own there"
            )
        found: dict[str, list[Recording]] = {}
        for each in sorted(path for path in folder.iterdir() if path.is_dir()):
            if each.name == UNKNOWN:
                raise BundleError(
                    f"no voice can be named {UNKNOWN!r}, the answer where no voice passes: rename {each}"
                )
            if not LABEL.fullmatch(each.name):
                raise BundleError(
                    f"{each.name!r} in VOICES={folder} cannot be a label: rename the folder, without control characters"
                )
            found[each.name] = self.read("VOICES", each, each.name)
        if not found:
            raise BundleError(
                f"VOICES={folder} holds no folders: put each voice's recordings in a folder of its own"
            )
        if lacking := [line for name, clips in found.items() if (line := missing(name, clips))]:
            raise BundleError("too little speech to enrol: " + "; ".join(lacking))
        return found

    def strangers(self, folder: Path) -> list[Recording]:
        """Recordings of nobody who is enrolled: a folder a person, or files that each count as a person."""
        if not folder.is_dir():
            raise BundleError(f"STRANGERS={folder} is no folder")
        found: list[Recording] = []
        for each in sorted(folder.iterdir()):
            if each.is_dir():
                found += self.read("STRANGERS", each, each.name)
        loose = [path for path in recordings("STRANGERS", folder) if path.parent == folder]
        found += [clip for path in loose if (clip := self.one(path, path.name))]
        return found

    def read(self, variable: str, folder: Path, person: str) -> list[Recording]:
        paths = recordings(variable, folder)
        # without a terminal rich would print an empty line each
        steps = track(paths, person, transient=True, disable=not sys.stdout.isatty())
        clips = [self.one(path, person) for path in steps]
        return [clip for clip in clips if clip]

    def one(self, path: Path, person: str) -> Recording | None:
        """A clip; None, and a line about it, where it cannot be used."""
        try:
            waveform = audio.decode(
                EncodedAudio(path.read_bytes()),
                sampling_rate=self.sampling_rate,
                max_seconds=MAX_SECONDS,
                min_samples=int(SHORTEST * self.sampling_rate),
            ).waveform
        except RequestError as exc:
            self.say(f"left out: {path}: {exc.message}")
            return None
        return Recording(person, path.name, waveform, speech_seconds(waveform, self.sampling_rate))


def speech_seconds(waveform: Waveform, rate: int) -> float:
    """Seconds of 20 ms frames within 35 dB of the loudest: an upper bound where there is noise."""
    size = int(FRAME_SECONDS * rate)
    frames = waveform[: len(waveform) // size * size].reshape(-1, size)
    rms = np.sqrt(np.square(frames, dtype=np.float64).mean(axis=1))
    if not len(rms) or rms.max() == 0:
        return 0.0
    return float((rms > rms.max() * 10 ** (FLOOR_DB / 20)).sum()) * FRAME_SECONDS


def missing(name: str, clips: Sequence[Recording]) -> str:
    """What a voice lacks to be enrolled, in words; nothing where it has enough."""
    speech = sum(clip.speech for clip in clips)
    lacks = []
    if len(clips) < MIN_CLIPS:
        more = MIN_CLIPS - len(clips)
        lacks.append(f"{more} more clip{'s' * (more > 1)}")
    if speech < MIN_SPEECH_SECONDS:
        lacks.append(f"{math.ceil(10 * (MIN_SPEECH_SECONDS - speech)) / 10:.1f} s more speech")
    if not lacks:
        return ""
    have = f"{name} has {math.floor(10 * speech) / 10:.1f} s of speech in {len(clips)} clips"
    return f"{have} and needs {' and '.join(lacks)} (at least {MIN_SPEECH_SECONDS:.0f} s in {MIN_CLIPS})"
