"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.1


def wait_until(condition: Callable[[], object], seconds: float, poll: float = POLL_SECONDS) -> bool:
    """Look until a condition holds, at least once.

    Args:
        condition: what is waited for; what it raises ends the waiting.
        seconds: how long to wait at most.
        poll: seconds between two looks.

    Returns:
        Whether it holds; False once the time is over.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)  # between two looks, never in place of one
    return True
