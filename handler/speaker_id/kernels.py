"""How many of oneDNN's kernels the process keeps. Audio is of any length, and each shape of a product has its own.

oneDNN keeps the last 1024 that were used. ideep, torch's layer above it, keeps the last 1024 of each kind of product
again, in each thread, and with them those that oneDNN has given up. A linear map's takes half a megabyte in the first
cache and a quarter in each of the second, though its code is 10 kB: under mixed lengths a worker of two threads grew
by 500 MB, and more threads would have grown more. The packed encoder asks for few shapes (`Operators.step`); what is
left, such as very short clips, bf16 attention and the reference encoder, is bounded here.
"""

from __future__ import annotations

import os

CAPACITIES = {
    # Of the process. Too low: kernels are compiled again, half a millisecond each. Too high: half a megabyte each.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    # Of each thread and kind of product. What it lacks, oneDNN's has. Never 0: it returns what it has just inserted.
    "LRU_CACHE_CAPACITY": "16",
}


def bound_caches() -> None:
    """Bound both, unless the environment does already. Call it before anything is computed: each is read once."""
    for name, capacity in CAPACITIES.items():
        os.environ.setdefault(name, capacity)
