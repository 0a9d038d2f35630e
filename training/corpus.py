"""Prompts → a table of clips and their waveforms, split so that no sentence is on both sides.

    python -m training.corpus [--work build/training]

Everybody reads the same script: ``vm-goodbye`` is the same sentence from each voice, in his or her language.
So the split goes by the prompt's *name*, over all voices at once, and names that share a recording go together.
"""

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soxr
from rich.progress import track

from training import SAMPLE_RATE, WORK_DIR
from training.packages import VOICES, Voice, prompt_folder

Waveform = npt.NDArray[np.float32]  # [samples], mono, full scale ±1
Pcm = npt.NDArray[np.int16]  # [samples], mono

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.18
VALIDATION_SHARE = 0.08

MIN_SECONDS = 1.0  # shorter prompts are digits and letters: too little voice to learn or judge by
MIN_SPEECH_SECONDS = 0.6
MAX_TRAIN_SECONDS = 10.0  # a few prompts read whole menus; uncapped they would outweigh the rest
SILENCE_RMS = 1e-3
SPEECH_FLOOR_DB = -35.0  # below the loudest frame: not speech
FRAME = SAMPLE_RATE // 50  # 320 samples, 20 ms

NOT_SPEECH = re.compile(r"(^|/)(silence/|beep|tt-monkeys|ascending-2tone|descending-2tone|2tone)")
CONTAINERS = {".g722": "g722", ".gsm": "gsm", ".wav": "wav"}  # headerless codecs need their format named


@dataclass(frozen=True)
class Clip:
    """One recording; its samples are ``corpus.samples[offset : offset + length]``."""

    voice: Voice
    prompt: str  # path below the voice's folder, no extension: "digits/hundred", "vm-goodbye"
    split: str
    offset: int
    length: int  # samples

    @property
    def seconds(self) -> float:
        return self.length / SAMPLE_RATE


@dataclass(frozen=True)
class Corpus:
    """All clips and their waveforms, training clips first, a voice's clips together.

    ``samples`` is int16 [total], so a codec variant of the training clips is an array over its first
    ``train_length`` samples with the same offsets.
    """

    clips: tuple[Clip, ...]
    samples: Pcm

    def select(self, split: str, min_seconds: float = 0.0) -> list[Clip]:
        return [clip for clip in self.clips if clip.split == split and clip.seconds >= min_seconds]

    def waveform(self, clip: Clip) -> Waveform:
        """float32 [length]."""
        return to_float(self.samples[clip.offset : clip.offset + clip.length])

    @property
    def train_length(self) -> int:
        return sum(clip.length for clip in self.clips if clip.split == "train")


def to_float(pcm: Pcm) -> Waveform:
    return pcm.astype(np.float32) / 32768


def to_pcm(waveform: Waveform) -> Pcm:
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)


def decode(path: Path) -> tuple[Waveform, int]:
    """A prompt's waveform and its sampling rate in Hz, as recorded."""
    with av.open(str(path), format=CONTAINERS.get(path.suffix)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="s16", layout="mono")
        frames = [part for frame in container.decode(stream) for part in resampler.resample(frame)]
        pcm = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
        return to_float(pcm), stream.codec_context.sample_rate


def resample(waveform: Waveform, rate: int, target: int = SAMPLE_RATE) -> Waveform:
    """float32 [samples] at ``rate`` Hz → float32 at ``target`` Hz (soxr, high quality)."""
    return waveform if rate == target else np.asarray(soxr.resample(waveform, rate, target), np.float32)


def speech_seconds(waveform: Waveform) -> float:
    """Seconds of 20 ms frames within 35 dB of the loudest frame."""
    frames = waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)
    rms = np.sqrt(np.square(frames).mean(axis=1))
    return float((rms > rms.max() * 10 ** (SPEECH_FLOOR_DB / 20)).sum()) * FRAME / SAMPLE_RATE


def is_usable(waveform: Waveform) -> bool:
    """Whether a prompt holds enough speech to learn or judge by."""
    return (
        len(waveform) >= MIN_SECONDS * SAMPLE_RATE
        and float(np.sqrt(np.square(waveform).mean())) >= SILENCE_RMS
        and speech_seconds(waveform) >= MIN_SPEECH_SECONDS
    )


def split_prompts(recordings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """(prompt name, digest of its recording) pairs → the split of every name.

    Names that share a recording, directly or through others, are one group; a group's split is drawn from
    the sha256 of its first name in sorted order. So it depends neither on the order of the pairs nor on a seed.
    """
    group_of: dict[str, str] = {}

    def root(name: str) -> str:
        while group_of.setdefault(name, name) != name:
            name = group_of[name]
        return name

    name_of_recording: dict[str, str] = {}
    for name, digest in recordings:
        ends = root(name), root(name_of_recording.setdefault(digest, name))
        group_of[max(ends)] = min(ends)
    return {name: _draw_split(root(name)) for name in group_of}


def _draw_split(name: str) -> str:
    draw = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if draw < TEST_SHARE else "validation" if draw < TEST_SHARE + VALIDATION_SHARE else "train"


def prompts(folder: Path) -> Iterator[tuple[str, Path]]:
    """(prompt name, file) below ``folder``, sorted; some packages link their subfolders, so links are followed."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for path in sorted(Path(parent, file) for file in files):
            name = path.relative_to(folder).with_suffix("").as_posix().lower()
            if path.suffix in CONTAINERS and not NOT_SPEECH.search(name):
                yield name, path


def build(work: Path) -> Corpus:
    """Decodes every extracted package below ``work`` and saves ``clips.csv`` and ``samples.npy`` there."""
    found: list[tuple[Voice, str, str, Path]] = []
    for voice in VOICES:
        for name, path in prompts(prompt_folder(voice, work)):
            found.append((voice, name, hashlib.sha256(path.read_bytes()).hexdigest(), path))
    split_of = split_prompts((name, digest) for _, name, digest, _ in found)

    seen: set[str] = set()
    kept: list[tuple[Voice, str, Pcm]] = []
    for voice, name, digest, path in track(found, "decoding prompts", transient=True):
        waveform = resample(*decode(path))
        if digest in seen or not is_usable(waveform):  # the same recording under another name counts once
            continue
        seen.add(digest)
        if split_of[name] == "train":
            waveform = waveform[: int(MAX_TRAIN_SECONDS * SAMPLE_RATE)]
        kept.append((voice, name, to_pcm(waveform)))

    kept.sort(key=lambda item: SPLITS.index(split_of[item[1]]))  # stable: voices stay together
    clips: list[Clip] = []
    offset = 0
    for voice, name, pcm in kept:
        clips.append(Clip(voice, name, split_of[name], offset, len(pcm)))
        offset += len(pcm)
    corpus = Corpus(tuple(clips), np.concatenate([pcm for _, _, pcm in kept]))
    _save(corpus, work)
    return corpus


def _save(corpus: Corpus, work: Path) -> None:
    np.save(work / "samples.npy", corpus.samples)
    with (work / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["package", "folder", "prompt", "split", "offset", "length"])
        for clip in corpus.clips:
            where = clip.voice.package, clip.voice.folder
            rows.writerow([*where, clip.prompt, clip.split, clip.offset, clip.length])


def load(work: Path) -> Corpus:
    """The corpus ``build`` saved; its samples are mapped, not read."""
    voices = {voice.folder: voice for voice in VOICES}
    with (work / "clips.csv").open(newline="") as file:
        clips = tuple(
            Clip(voices[row["folder"]], row["prompt"], row["split"], int(row["offset"]), int(row["length"]))
            for row in csv.DictReader(file)
        )
    return Corpus(clips, np.load(work / "samples.npy", mmap_mode="r"))


def describe(corpus: Corpus) -> str:
    """Clips and minutes of each split, one line."""
    parts = [(split, corpus.select(split)) for split in SPLITS]
    return ", ".join(f"{s}: {len(c)} clips, {sum(k.seconds for k in c) / 60:.1f} min" for s, c in parts)


if __name__ == "__main__":
    print(describe(build(WORK_DIR)))
