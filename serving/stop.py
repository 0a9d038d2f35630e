"""`make stop`: stop every server that `make serve` started, or the one at PORT=, and what a killed one left."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path

import psutil

from bundle import BundleError
from bundle.terminal import say
from serving.host import orphans, ports, processes
from serving.host.polling import wait_until
from serving.host.processes import Identity
from serving.state import RUN, State, states

ENDING_SECONDS = 30.0  # for `make serve` to stop its processes, once it has answered
SAY_SECONDS = 5.0  # between two progress lines
KILLED_SECONDS = 5.0  # for a killed process to end


def stop(run: Path, state: State) -> list[int]:
    """Stop one server: gracefully if its `make serve` still runs, otherwise by the ids of its processes.

    Returns:
        Ids of processes that are still running; none are expected.
    """
    if state.serve.alive:
        say(f"stopping {', '.join(state.models)} at {state.url}")
        ask(state.serve, state.stop_seconds + ENDING_SECONDS)
    return orphans.clear(run)


def ask(serve: Identity, seconds: float) -> None:
    """Send SIGTERM and wait, with progress lines; kill the process if it does not end in time."""
    process = serve.process()
    if process is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        if process.status() == psutil.STATUS_STOPPED:
            say(f"process {serve.pid} was suspended, by SIGSTOP or Ctrl-Z; it is resumed to stop in order")
        process.send_signal(signal.SIGCONT)
    ends = time.monotonic() + seconds
    while not wait_until(lambda: not serve.alive, min(SAY_SECONDS, ends - time.monotonic())):
        if (left := ends - time.monotonic()) <= 0:
            say(f"process {serve.pid} has not ended within {seconds:.0f} s and is killed")
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            wait_until(lambda: not serve.alive, KILLED_SECONDS)
            return
        # of a server that is still starting there are none; ending its processes is part of the time
        say(
            f"waiting for process {serve.pid} to end, which answers the requests it has accepted first: at most "
            f"{left:.0f} s more, then it is killed"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.stop", description="Stop what `make serve` started."
    )
    parser.add_argument("--port", type=ports.number, help="of the server to stop (default: all of them)")
    port = parser.parse_args().port
    left: list[int] = []
    found = [(file, state) for file, state in states(RUN) if port is None or state.port == port]
    for file, state in found:
        left += stop(file.parent, state)
    try:
        processes.refuse_left(left)
    except BundleError as exc:
        print(f"stop: {exc}", file=sys.stderr)
        return 1
    where = f" on port {port}" if port else ""
    say("stopped" if found else f"nothing is running{where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
