"""A server for the duration of one command, on a free port: for the demo, a load test, an evaluation."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bundle import store, versions
from bundle.spec import ModelSpec
from serving import model_servers, state
from serving.gateway.options import GatewayOptions
from serving.host import orphans, ports
from serving.model_servers import Chosen
from serving.service import Service
from serving.signals import SIGNALS

TEMPORARY_GRACE_SECONDS = 10.0  # for requests in flight; the command that started the server sends no more


@contextmanager
def serving(
    specs: Sequence[ModelSpec],
    command: str,
    console: Console,
    chosen: Chosen = model_servers.DEFAULT,
    options: GatewayOptions | None = None,
) -> Iterator[Service]:
    """Build what is missing, start, and stop at the end of the block; the folder stays after a failure, for its logs.

    Args:
        specs: the models, as model.yaml has them; what a roll-out promoted is served instead.
        command: the name of the command, which begins that of the folder.
        console: for progress.
        chosen: the model server.
        options: of its gateway; a free port and the defaults where there are none.

    Raises:
        BundleError: an archive cannot be built, or the server does not start; the message is one line.
    """
    clean(command)
    specs = [versions.current(spec) for spec in specs]  # as `make serve` does: the store is the same
    run = state.RUN / f"{command}-{os.getpid()}"
    service = Service(specs, store.STORE, run, options or GatewayOptions(ports.free(1)[0]), chosen)
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
        start: is called with a function for progress lines.
        stop: is called with the seconds that requests in flight get.
        run: the server's folder.
        command: the name of the command.
        console: for progress.
    """
    keep = True
    try:
        with step(console, command, "starting the server") as progress:
            start(progress)
        yield
        keep = False
    except KeyboardInterrupt:
        keep = False
        raise
    finally:
        for number in SIGNALS:  # stopping takes seconds, and if interrupted it would leave Java running
            signal.signal(number, signal.SIG_IGN)
        with step(console, command, "stopping the server"):
            stop(TEMPORARY_GRACE_SECONDS)
        if not keep:
            shutil.rmtree(run, ignore_errors=True)


def clean(command: str) -> None:
    """Stop the server that a killed run of this command left."""
    for file, left in state.states():
        if file.parent.name.startswith(f"{command}-") and not left.serve.alive:
            orphans.clear(file.parent)
            shutil.rmtree(file.parent, ignore_errors=True)


@contextmanager
def step(console: Console, command: str, title: str) -> Iterator[Callable[[str], None]]:
    """Show progress: a spinner on a terminal, otherwise one line each. Yields the function to call with details."""

    def show(detail: str = "") -> None:
        text = f"{title}: {detail}" if detail else title
        if console.is_terminal:
            status.update(text)
        else:
            console.print(f"{command}: {text}")

    with console.status(title) as status:
        show()
        yield show
