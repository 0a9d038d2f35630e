"""Waiting for what another process does: never for so long, always for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable

GENEROUS = 600.0  # s; it guards against hanging alone, and the machine may be busy


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + GENEROUS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # between two looks
