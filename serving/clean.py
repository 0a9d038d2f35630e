"""The part of `make clean` that removes archives: those that a roll-out keeps, or that a server uses, stay."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from bundle import BundleError, repository, store
from bundle.command_line import exit_status
from bundle.terminal import say
from serving import state
from serving.host import orphans, processes


def clean(folder: Path, everything: bool) -> None:
    """Remove the archives of a store.

    Args:
        folder: the store.
        everything: also versions that a roll-out has promoted or replaced, which cannot be built again.

    Raises:
        BundleError: a server is running: its logs and state would be removed.
    """
    for _, running in state.states():
        if running.serve.alive:
            raise BundleError(
                f"{', '.join(running.models)} at {running.url} is running: stop it first with `make stop`"
            )
    # build/run is removed next, and with it the state that names what killed servers have left
    processes.refuse_left(orphans.clear_all(state.RUN))
    kept = []
    for mar in sorted(folder.glob("*.mar")):
        if not everything and store.needed(mar):
            kept.append(mar.name)
        else:
            mar.unlink()
    shutil.rmtree(folder / repository.FOLDER, ignore_errors=True)  # each is written again from its archive
    shutil.rmtree(folder / store.KERNELS, ignore_errors=True)
    if everything:
        store.forget_all(folder)
    if kept:
        say(f"kept, because a roll-out stored them: {', '.join(kept)} (ALL=1 removes them too)")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.clean", description="Remove the archives that can be built again."
    )
    parser.add_argument("--all", default="", help="any value: also the archives kept for roll-back")
    everything = bool(parser.parse_args().all)
    return exit_status("clean", lambda: clean(store.STORE, everything))


if __name__ == "__main__":
    sys.exit(main())
