"""The work: clips as long as VoxCeleb1's, as VoxCeleb1 has them (16-bit WAV at 16 kHz), and what each gets alone.

Only a format that every peer decodes, and cheaply: servers are compared, not codecs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile
from speaker_id.clip import SAMPLING_RATE
from speaker_id.manifest import Manifest

from measure import workload
from measure.answer import Label
from measure.command import apart
from measure.compare import BUILD
from measure.loadtest.clips import Clip, written
from measure.results import save_json

SEED = 0


Reference = Mapping[str, Label]  # best label by the clip's name


def lengths(count: int) -> list[float]:
    return [float(length) for length in workload.durations(count, SEED)]


def clips(folder: Path, lengths: Sequence[float], seed: int = SEED) -> list[Clip]:
    """One clip a length, written into the folder; equal seeds give equal files."""
    folder.mkdir(parents=True, exist_ok=True)
    return written(folder, workload.work(workload.voices(), lengths, SAMPLING_RATE, seed))


def seconds(work: Sequence[Clip]) -> float:
    return sum(clip.seconds for clip in work)


def describe(work: Sequence[Clip]) -> str:
    lengths = [clip.seconds for clip in work]
    mean = seconds(work) / len(work)
    return f"{len(work)} clips of {min(lengths):.1f} to {max(lengths):.1f} s, mean {mean:.1f} s, seed {SEED}"


def alone(checkpoint: Path, work: Sequence[Clip]) -> Reference:
    """Hugging Face's model on each clip by itself, in fp32 and unpadded; kept from run to run."""
    digest = hashlib.sha256(Manifest.read(checkpoint).files["model.safetensors"].sha256.encode())
    for clip in work:
        digest.update(clip.path.read_bytes())
    file = BUILD / "references" / f"{digest.hexdigest()[:16]}.json"
    if not file.is_file():
        paths = [clip.path for clip in work]
        answers = apart(identify, checkpoint, paths)
        save_json({clip.name: answer._asdict() for clip, answer in zip(work, answers, strict=True)}, file)
    return {name: Label(**answer) for name, answer in json.loads(file.read_text()).items()}


def identify(folder: Path, paths: Sequence[Path]) -> list[Label]:
    from speaker_id import checkpoint
    from speaker_id.encoder.reference import ReferenceEncoder

    loaded = checkpoint.load(folder)
    encoder = ReferenceEncoder(loaded.model, loaded.feature_extractor, "cpu")
    answers = []
    for path in paths:
        waveform, _ = soundfile.read(path, dtype="float32")
        score, place = encoder([waveform])[0].softmax(-1).max(-1)
        answers.append(Label(loaded.labels[int(place)], float(score)))
    return answers
