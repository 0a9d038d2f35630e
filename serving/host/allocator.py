"""The memory allocator of the server's processes."""

from __future__ import annotations

from typing import Literal

from bundle import BundleError

Allocator = Literal["glibc", "jemalloc"]
NAMES: tuple[Allocator, ...] = ("glibc", "jemalloc")


def environment(allocator: Allocator) -> dict[str, str]:
    """Environment variables that make a process use the allocator.

    jemalloc keeps the large blocks that tensors are allocated in, where glibc returns them to the system and requests
    them again, page by page.

    Raises:
        BundleError: it is not installed.
    """
    if allocator == "glibc":
        return {}
    import ctypes.util  # takes longer than the rest of the module, and glibc needs none of it

    library = ctypes.util.find_library("jemalloc")
    if library is None:
        raise BundleError(
            "ALLOCATOR=jemalloc is not installed here; Debian and Ubuntu: apt install libjemalloc2"
        )
    return {"LD_PRELOAD": library}
