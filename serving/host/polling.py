"""Waiting for another process."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.1


def wait_until(condition: Callable[[], object], seconds: float, poll: float = POLL_SECONDS) -> bool:
    """Check a condition until it holds, at least once.

    Args:
        condition: what is waited for; an exception that it raises ends the wait.
        seconds: the longest wait.
        poll: seconds between two checks.

    Returns:
        Whether it holds; False after the longest wait.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)  # between two checks, never instead of one
    return True
