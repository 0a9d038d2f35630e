"""A whole server for the length of one command, on a free port: the demo's, a load test's, an evaluation's."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bundle import archive, store
from bundle.sources import ModelSpec
from serving import state
from serving.gateway.options import GatewayOptions
from serving.host import orphans, ports
from serving.service import Service
from serving.signals import SIGNALS

TEMPORARY_GRACE_SECONDS = 10.0  # for requests in flight: the command that started it has no more of them


@contextmanager
def serving(specs: Sequence[ModelSpec], command: str, console: Console) -> Iterator[Service]:
    """Build what is missing, start, and stop at the end of the block; the folder stays after a failure, for its logs.

    Args:
        specs: the models.
        command: who asks, and how its folder is named.
        console: where it says what it is doing.

    Raises:
        BundleError: an archive cannot be built, or the server does not start; says in one line why.
    """
    clean(command)
    for spec in specs:
        archive.build(spec, store.STORE)
    run = state.RUN / f"{command}-{os.getpid()}"
    service = Service(specs, store.STORE, run, GatewayOptions(ports.free(1)[0]))
    with ended(service.start, service.stop, run, command, console):
        yield service


@contextmanager
def ended(
    start: Callable[[Callable[[str], None]], None],
    stop: Callable[[float], object],
    run: Path,
    command: str,
    console: Console,
) -> Iterator[None]:
    """Start a server, and stop it at the end of the block; its folder stays after a failure, for its logs.

    Args:
        start: takes what to call with the details.
        stop: takes the seconds that requests in flight have.
        run: the server's folder.
        command: who asks.
        console: where it says what it is doing.
    """
    keep = True
    try:
        with step(console, command, "starting TorchServe") as progress:
            start(progress)
        yield
        keep = False
    except KeyboardInterrupt:
        keep = False
        raise
    finally:
        for number in SIGNALS:  # stopping takes seconds, and cut short it would leave Java behind
            signal.signal(number, signal.SIG_IGN)
        with step(console, command, "stopping TorchServe"):
            stop(TEMPORARY_GRACE_SECONDS)
        if not keep:
            shutil.rmtree(run, ignore_errors=True)


def clean(command: str) -> None:
    """End the server that a killed run of this command left behind."""
    for file, left in state.states():
        if file.parent.name.startswith(f"{command}-") and not left.serve.alive:
            orphans.clear(file.parent)
            shutil.rmtree(file.parent, ignore_errors=True)


@contextmanager
def step(console: Console, command: str, title: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on: a spinner on a terminal, else a line each. Gives what to call with the details."""

    def show(detail: str = "") -> None:
        text = f"{title}: {detail}" if detail else title
        if console.is_terminal:
            status.update(text)
        else:
            console.print(f"{command}: {text}")

    with console.status(title) as status:
        show()
        yield show
