"""What remains of a server whose `make serve` was killed: its temp folders, and processes that are still ending."""

from __future__ import annotations

from pathlib import Path

from bundle import BundleError
from bundle.terminal import say
from serving.host import processes, scratch
from serving.state import FILE, read, skip, states


def clear_all(run: Path) -> list[int]:
    """`clear` for every killed server that wrote its state below a folder."""
    left = []
    for file, state in states(run):
        if not state.serve.alive:
            left += clear(file.parent)
    return left


def clear(run: Path) -> list[int]:
    """End and remove what is left of a run folder's server, and say so. Its `make serve` must have ended.

    Returns:
        Ids of processes that are still running although they were killed; none are expected.
    """
    try:
        state = read(run / FILE)
    except BundleError as exc:
        skip(str(exc))
        return []
    if state is None:
        return []
    say(f"cleaning up after {', '.join(state.models)} at {state.url}, whose `make serve` was killed")
    gateway = state.gateway.process() if state.gateway else None
    left = processes.end([gateway] if gateway else [], grace=5.0)
    # first the server, which would replace its workers, then workers that it did not end
    for grace in (10.0, 2.0):
        left += processes.end(scratch.users(state.traces), grace)
    for folder in state.temp:
        scratch.remove(Path(folder))
    (run / FILE).unlink(missing_ok=True)
    return left
