"""Training waveforms → the same through telephone and lossy codecs, made once ahead of training.

    python -m training.variants [--work build/training]

Two of the voices were recorded at 8 kHz. Were only they narrow-band, the band would name them and not the
voice; so every voice is also heard through each of these.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.progress import track

from training import SAMPLE_RATE, WORK_DIR
from training.codecs import TELEPHONE_RATE, amr, mp3, mu_law, opus, telephone, vorbis
from training.corpus import Clip, Corpus, load
from training.waveform import Pcm, Waveform, to_float, to_pcm

RUN_LENGTH = 30 * SAMPLE_RATE  # clips coded in one go: a codec's settings are drawn once a run
SEED = 0


def _amr(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    return amr(waveform, int(rng.choice([4750, 5900, 7400, 12200])))


def _mu_law(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    return mu_law(waveform * np.float32(rng.uniform(0.3, 1.2)))  # quantisation depends on the level


def _mp3(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    if rng.random() < 0.4:
        return mp3(waveform, int(rng.choice([8_000, 16_000, 24_000])), TELEPHONE_RATE)
    return mp3(waveform, int(rng.choice([16_000, 24_000, 32_000, 48_000])))


def _ogg(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    if rng.random() < 0.5:
        return opus(waveform, int(rng.choice([8_000, 12_000, 16_000, 24_000, 32_000])))
    return vorbis(waveform, rng.uniform(0.05, 0.8), int(rng.choice([TELEPHONE_RATE, SAMPLE_RATE])))


VARIANTS: dict[str, Callable[[Waveform, np.random.Generator], Waveform]] = {
    "telephone": lambda waveform, _: telephone(waveform),
    "amr": _amr,
    "mu_law": _mu_law,
    "mp3": _mp3,
    "ogg": _ogg,
}


def runs(clips: list[Clip]) -> Iterator[tuple[int, int]]:
    """(start, stop) sample ranges of neighbouring clips of one voice, up to 30 s or one clip each."""
    for _, of_voice in groupby(clips, key=lambda clip: clip.voice):
        start = stop = -1
        for clip in of_voice:
            if start < 0:
                start = clip.offset
            elif clip.offset + clip.length - start > RUN_LENGTH:
                yield start, stop
                start = clip.offset
            stop = clip.offset + clip.length
        yield start, stop


def _code(job: tuple[str, int, Pcm]) -> Pcm:
    name, start, pcm = job
    rng = np.random.default_rng([SEED, list(VARIANTS).index(name), start])  # whichever process computes it
    return to_pcm(VARIANTS[name](to_float(pcm), rng))


def build(corpus: Corpus, work: Path, names: Iterable[str] = tuple(VARIANTS)) -> None:
    """Saves ``variants/<name>.npy`` below ``work``: int16 [train_length], offsets as in the corpus."""
    (work / "variants").mkdir(exist_ok=True)
    ranges = list(runs(corpus.select("train")))
    with ProcessPoolExecutor() as pool:
        for name in names:
            jobs = ((name, start, corpus.samples[start:stop]) for start, stop in ranges)
            coded = pool.map(_code, jobs, chunksize=4)
            parts = list(track(coded, f"coding {name}", total=len(ranges), transient=True))
            np.save(work / "variants" / f"{name}.npy", np.concatenate(parts))


def load_variants(corpus: Corpus, work: Path, names: Iterable[str] = tuple(VARIANTS)) -> dict[str, Pcm]:
    """The training waveforms by variant, ``original`` among them: int16 [train_length] each."""
    loaded = {name: np.load(work / "variants" / f"{name}.npy", mmap_mode="r") for name in names}
    return {"original": corpus.samples[: corpus.train_length], **loaded}


if __name__ == "__main__":
    build(load(WORK_DIR), WORK_DIR)
