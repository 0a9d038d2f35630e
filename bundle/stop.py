"""`make stop`: end every server that `make serve` started, or the one at PORT=, also what a killed one left."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

from bundle import ports, processes
from bundle.processes import Identity
from bundle.serve import GRACE_SECONDS
from bundle.state import State, states
from bundle.torchserve import belonging_to

SERVE_SECONDS = GRACE_SECONDS + 30  # its drain and the end of its processes


def stop(file: Path, state: State) -> list[int]:
    """End one server, in order if its `make serve` still lives, else by its processes' ids.

    Returns:
        Ids that are still there, which should be none.
    """
    if state.serve.alive:
        print(f"stopping {', '.join(state.models)} at {state.url}", flush=True)
        ask(state.serve)
    else:
        print(
            f"cleaning up after {', '.join(state.models)} at {state.url}, whose `make serve` was killed",
            flush=True,
        )
    gateway = state.gateway.process() if state.gateway else None
    left = processes.end([gateway] if gateway else [], grace=5.0)
    for folder in map(Path, state.temp):
        for grace in (10.0, 2.0):  # first Java, which would replace its workers, then those it did not end
            left += processes.end(belonging_to(folder), grace)
        shutil.rmtree(folder, ignore_errors=True)
    file.unlink(missing_ok=True)
    return left


def ask(serve: Identity) -> None:
    """Send SIGTERM and wait for the end; kill it if the end does not come."""
    process = serve.process()
    if process is None:
        return
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + SERVE_SECONDS
    while serve.alive:
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make stop", description="End the servers that make serve started.")
    parser.add_argument("--port", type=ports.number, help="of the one to end; all of them without it")
    port = parser.parse_args().port
    left: list[int] = []
    found = [each for each in states() if not port or each[1].url.endswith(f":{port}")]
    for file, state in found:
        left += stop(file, state)
    if left:
        print(f"stop: processes {left} are still there although they were killed", file=sys.stderr)
        return 1
    nothing = f"nothing is running on port {port}" if port else "nothing is running"
    print("stopped" if found else nothing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
