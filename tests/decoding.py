"""Real decoder processes for tests that need some, one pool shared by all of one run, and what is asked of them."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from speaker_id.clip import Decoded, EncodedAudio
from speaker_id.decoders import Decoders

SAMPLES = sorted((Path(__file__).resolve().parents[1] / "models" / "demo" / "samples").glob("*.flac"))
CRASHES_LIBSNDFILE = (
    Path(__file__).parent / "unit/handler/decoders/hostile" / "codebook_2_23.ogg"
)  # 248 bytes


@functools.cache
def shared() -> Decoders:
    return Decoders(2, sampling_rate=16000, max_seconds=120.0).ready()


def decode(decoders: Decoders, data: bytes, deadline: float | None = None) -> Decoded:
    return decoders.decode(EncodedAudio(data), min_samples=400, cpu_seconds=60.0, deadline=deadline)


def settle(decoders: Decoders) -> None:
    """Wait until the keeper has ended and started what it was given so far."""
    decoders._keeper.submit(int).result()


def is_well(decoders: Decoders) -> bool:
    """Whether every decoder answers, and as many as there should be."""
    data = SAMPLES[0].read_bytes()
    with ThreadPoolExecutor(2) as threads:  # one at a time would be one decoder, again and again
        return all(len(each.waveform) for each in threads.map(partial(decode, decoders), [data] * 8))
