"""A platform's router: it sends requests to a container for as long as that says it is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bundle import BundleError

CALLERS = 4
PATIENCE = 600.0  # s; against hanging alone


def stop_under_load(
    call: Callable[[], int], health: Callable[[], int], stop: Callable[[], object]
) -> list[int]:
    """Stop a container while callers send it requests.

    Args:
        call: sends a request; its answer's status.
        health: asks whether it is ready; the answer's status.
        stop: is called after a second of load, and returns at once.

    Returns:
        The status of every request that was sent, the last one after the first `not ready`.

    Raises:
        BundleError: it never says `not ready`.
    """
    not_ready = threading.Event()

    def caller() -> list[int]:
        statuses = []
        while not not_ready.is_set():
            statuses.append(call())
        return statuses

    with ThreadPoolExecutor(CALLERS) as pool:
        calling = [pool.submit(caller) for _ in range(CALLERS)]
        try:
            time.sleep(1)
            stop()
            began = time.monotonic()
            while (status := health()) == 200 and time.monotonic() - began < PATIENCE:
                time.sleep(0.02)  # between two of its health checks
            if status != 503:
                raise BundleError(f"stopped, it answers a health check with {status} first, not with 503")
            late = call()
        finally:
            not_ready.set()
        return [status for each in calling for status in each.result()] + [late]
