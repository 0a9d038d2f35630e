"""Freed memory → the system's again. The splitter uses this as the workers do, so it imports no torch."""

from __future__ import annotations

import ctypes


def return_freed() -> None:
    """Return freed memory to the system: glibc keeps most of what was allocated for a while and freed, such as what
    loading and warm-up, or the parsing of a large body, took."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # other C libraries have none
        trim(0)
