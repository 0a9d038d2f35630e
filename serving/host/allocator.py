"""Which memory allocator the server's processes use."""

from __future__ import annotations

import ctypes.util
from typing import Literal

from bundle import BundleError

Allocator = Literal["glibc", "jemalloc"]
NAMES: tuple[Allocator, ...] = ("glibc", "jemalloc")


def environment(allocator: Allocator) -> dict[str, str]:
    """What makes a process start with the allocator.

    jemalloc keeps the large blocks that tensors come and go in, where glibc gives them back to the system and takes
    them anew, page by page.

    Raises:
        BundleError: it is not installed.
    """
    if allocator == "glibc":
        return {}
    library = ctypes.util.find_library("jemalloc")
    if library is None:
        raise BundleError(
            "ALLOCATOR=jemalloc is not installed here; Debian and Ubuntu: apt install libjemalloc2"
        )
    return {"LD_PRELOAD": library}
