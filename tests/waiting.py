"""Waiting for what another process does: never for so long, always for a condition."""

from __future__ import annotations

from collections.abc import Callable

from serving.host import polling

GENEROUS = 600.0  # s; it guards against hanging alone, and the machine may be busy


def wait_until(condition: Callable[[], object]) -> None:
    assert polling.wait_until(condition, GENEROUS, 0.02)
