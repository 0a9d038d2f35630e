"""Bound the caches of oneDNN's kernels, and the threads of torch's.

Audio has any length, and each shape of a product has a kernel of its own. oneDNN caches the last 1024 that were used.
ideep, torch's layer above it, caches the last 1024 of each kind of product once more in each thread, including those
that oneDNN has evicted. A kernel takes far more memory in either than its code has: with mixed lengths a worker grew by
hundreds of megabytes, and by more with more threads (`python -m measure.bench.handler` shows what it takes now). The
packed encoder uses few shapes (`Operators.step`); the rest, such as very short clips, bf16 attention and the reference
encoder, is bounded here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CAPACITIES = {
    # Of the process. Too low: kernels are compiled again, half a millisecond each. Too high: half a megabyte each.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    # Of each thread and kind of product, before oneDNN's own. Never 0: it returns what it has just inserted.
    "LRU_CACHE_CAPACITY": "16",
}


def bound_caches() -> None:
    """Bound both, unless the environment already does. Call this before anything is computed: each is read once."""
    for name, capacity in CAPACITIES.items():
        os.environ.setdefault(name, capacity)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit the caller's own kernels to one thread for the block.

    torch's threads wait for each other after every kernel. For what takes microseconds that is most of the time, and on
    a busy machine milliseconds, in which the threads that wait spin and use the processor.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
