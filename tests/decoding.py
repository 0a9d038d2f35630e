"""Real decoder processes for tests that need some, shared by all of one run."""

from __future__ import annotations

import functools

from speaker_id.decoders import Decoders


@functools.cache
def shared() -> Decoders:
    return Decoders(2, sampling_rate=16000, max_seconds=120.0)
