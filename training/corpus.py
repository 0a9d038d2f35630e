"""Prompts → a table of clips and their waveforms, split so that no sentence is on both sides.

python -m training.corpus [--work build/training]
"""

import csv
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from training import SAMPLE_RATE, WORK_DIR
from training.split import SPLITS, split_prompts
from training.voices import VOICES, Voice
from training.waveform import CONTAINERS, Pcm, Waveform, decode, resample, to_float, to_pcm

MIN_SECONDS = 1.0  # shorter prompts are digits and letters: too little speech to train or judge on
MIN_SPEECH_SECONDS = 0.6
MAX_TRAIN_SECONDS = 10.0  # a few prompts read whole menus; uncapped they would outweigh the rest
SILENCE_RMS = 1e-3
SPEECH_FLOOR_DB = -35.0  # below the loudest frame: not speech
FRAME = SAMPLE_RATE // 50  # 320 samples, 20 ms

NOT_SPEECH = re.compile(r"(^|/)(silence/|beep|tt-monkeys|ascending-2tone|descending-2tone|2tone)")


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


def speech_seconds(waveform: Waveform) -> float:
    """Seconds of 20 ms frames within 35 dB of the loudest frame."""
    frames = waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)
    rms = np.sqrt(np.square(frames).mean(axis=1))
    return float((rms > rms.max() * 10 ** (SPEECH_FLOOR_DB / 20)).sum()) * FRAME / SAMPLE_RATE


def is_usable(waveform: Waveform) -> bool:
    """Whether a prompt holds enough speech to train or judge on."""
    return (
        len(waveform) >= MIN_SECONDS * SAMPLE_RATE
        and float(np.sqrt(np.square(waveform).mean())) >= SILENCE_RMS
        and speech_seconds(waveform) >= MIN_SPEECH_SECONDS
    )


def prompt_folder(voice: Voice, work: Path) -> Path:
    """Where the extracted packages keep the prompts of ``voice``."""
    return work / "packages" / voice.package / "usr" / "share" / "asterisk" / "sounds" / voice.folder


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
        if digest in seen or not is_usable(waveform):  # a recording under several names counts once
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
    save_clips(corpus, work)
    return corpus


def save_clips(corpus: Corpus, work: Path) -> None:
    """Writes ``clips.csv`` and ``samples.npy`` in ``work``."""
    np.save(work / "samples.npy", corpus.samples)
    with (work / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["speaker", "package", "folder", "prompt", "split", "offset", "length"])
        for clip in corpus.clips:
            where = clip.voice.speaker, clip.voice.package, clip.voice.folder
            rows.writerow([*where, clip.prompt, clip.split, clip.offset, clip.length])


def load(work: Path) -> Corpus:
    """The corpus ``build`` saved; its samples are mapped, not read."""
    return load_clips(work, VOICES)


def load_clips(work: Path, known: Sequence[Voice]) -> Corpus:
    """What ``save_clips`` wrote, of ``known`` voices."""
    voices = {(voice.speaker, voice.folder): voice for voice in known}
    with (work / "clips.csv").open(newline="") as file:
        clips = tuple(
            Clip(
                voices[row["speaker"], row["folder"]],
                row["prompt"],
                row["split"],
                int(row["offset"]),
                int(row["length"]),
            )
            for row in csv.DictReader(file)
        )
    return Corpus(clips, np.load(work / "samples.npy", mmap_mode="r"))


def describe(corpus: Corpus) -> str:
    """Clips and minutes of each split, one line."""
    parts = [(split, corpus.select(split)) for split in SPLITS]
    return ", ".join(f"{s}: {len(c)} clips, {sum(k.seconds for k in c) / 60:.1f} min" for s, c in parts)


if __name__ == "__main__":
    print(describe(build(WORK_DIR)))
