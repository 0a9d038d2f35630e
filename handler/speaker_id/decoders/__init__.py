"""Native decoders apart from the worker: clips → waveforms, in processes that only they can harm.

    worker ── Decoders (pool) ── fork server ─┬─ decoder process: audio.decode, confined
              one thread a clip               └─ decoder process

libsndfile and FFmpeg parse bytes that strangers chose, in C. So they run where a fault ends one process and costs
one clip: the worker keeps the torch model, hands a clip's bytes over in shared memory, and receives a waveform, a
request error or a dead process. The kernel limits each decoder's memory, its CPU time for a clip, its files (no new
one) and its system calls (`sandbox`). Forking a decoder takes milliseconds: the fork server has everything imported.
The WAV that most callers send needs neither library, and no decoder (`plain`).
"""

from speaker_id.decoders.pool import Decoders

__all__ = ["Decoders"]
