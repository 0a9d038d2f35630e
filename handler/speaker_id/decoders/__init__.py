"""Native decoders outside the worker: clips → waveforms, in processes of their own.

    worker ── Decoders (pool) ── fork server ─┬─ decoder process: audio.decode, confined
              one thread a clip               └─ decoder process

libsndfile and FFmpeg are C code that parses bytes chosen by strangers. So they run where a fault ends one process and
costs one clip: the worker keeps the torch model, passes a clip's bytes in shared memory, and gets a waveform, a request
error or a dead process. The kernel limits each decoder's memory, its CPU time for a clip, its files (no new ones) and
its system calls (`sandbox`). Forking a decoder takes milliseconds: the fork server has imported everything. The WAV
that most callers send needs neither library, and no decoder (`plain`).
"""

from speaker_id.decoders.pool import Decoders

__all__ = ["Decoders"]
