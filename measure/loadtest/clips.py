"""The clips that are sent: files of mixed lengths and formats."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import soundfile
from speaker_id.clip import SAMPLING_RATE, Waveform
from speaker_id.errors import RequestError

from bundle.samples import samples
from clients.identify import SUFFIXES
from measure import workload
from measure.loadtest import LoadTestError
from measure.loadtest.target import Clip as Clip  # for those who read clips

SEEDED = 32  # clips of VoxCeleb-like durations in the default mix
MEDIA_TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg"} | {
    ".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".webm": "audio/webm", ".amr": "audio/amr", ".aiff": "audio/aiff"
}  # fmt: skip
FORMATS = (  # what the seeded clips are written as, in turn: suffix, libsndfile's format and subtype
    (".wav", "WAV", "PCM_16"),
    (".flac", "FLAC", "PCM_16"),
    (".mp3", "MP3", "MPEG_LAYER_III"),
    (".ogg", "OGG", "VORBIS"),
    (".opus", "OGG", "OPUS"),
    (".wav", "WAV", "ULAW"),
)


def load(folder: Path) -> list[Clip]:
    """Every audio file below the folder, by name.

    Raises:
        LoadTestError: there is no such folder, no audio in it, or a file that cannot be decoded.
    """
    if not folder.is_dir():
        raise LoadTestError(
            f"there is no folder {folder}: name one that holds audio files, as in CLIPS=recordings/"
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in SUFFIXES)
    if not files:
        raise LoadTestError(f"no audio files in {folder}: it takes {' '.join(sorted(SUFFIXES))}")
    return [_clip(path, str(path.relative_to(folder))) for path in files]


def default_mix(folder: Path, seed: int) -> list[Clip]:
    """The demo's samples as they are, and 32 clips as long as VoxCeleb1's in six encodings, written into `folder`.

    Equal seeds give equal clips, apart from the serial numbers in Ogg's pages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mix = [_clip(Path(shutil.copy(sample.path, folder)), sample.path.name) for sample in samples()]
    lengths = [float(length) for length in workload.durations(SEEDED, seed)]
    voices = workload.work(workload.voices(), lengths, SAMPLING_RATE, seed)
    for number, (length, waveform) in enumerate(zip(lengths, voices, strict=True)):
        suffix, form, subtype = FORMATS[number % len(FORMATS)]
        path = folder / f"voxceleb-{number:02d}-{length:.1f}s{suffix}"
        soundfile.write(path, waveform, SAMPLING_RATE, format=form, subtype=subtype)
        mix.append(Clip(path.name, path, length, MEDIA_TYPES[suffix]))
    return mix


def cut(folder: Path, seconds: float, every: bool = False) -> list[Clip]:
    """A clip of each voice of the samples, or of every sample, all of one length: else the longest would decide
    percentiles."""
    chosen = [each for voice in workload.voices().values() for each in (voice if every else voice[:1])]
    return written(folder, [workload.lasting(each, seconds) for each in chosen])


def written(folder: Path, waveforms: Iterable[Waveform]) -> list[Clip]:
    """Each as a WAV file in the folder."""
    made = []
    for number, waveform in enumerate(waveforms):
        path = folder / f"clip-{number:02d}.wav"
        path.write_bytes(workload.wav(waveform))
        made.append(Clip(path.name, path, len(waveform) / SAMPLING_RATE, "audio/wav"))
    return made


def _clip(path: Path, name: str) -> Clip:
    try:
        waveform = workload.decoded(path.read_bytes(), SAMPLING_RATE)
    except RequestError as exc:
        raise LoadTestError(f"{path} cannot be decoded ({exc.code}): take it out of the folder") from exc
    media_type = MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return Clip(name, path.resolve(), len(waveform) / SAMPLING_RATE, media_type)
