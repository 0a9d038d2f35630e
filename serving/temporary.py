"""A whole server for the length of one command, on a free port: the demo's, a load test's, an evaluation's."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bundle import BundleError, archive, store
from bundle.sources import ModelSpec
from serving import asked, state
from serving.host import orphans, ports
from serving.service import Service
from serving.signals import SIGNALS

GRACE_SECONDS = 10.0


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
    service = Service(specs, store.STORE, run, ports.free(1)[0])
    with ended(service.start, service.stop, run, command, console):
        yield service


@contextmanager
def chosen(
    url: str, specs: Sequence[ModelSpec], command: str, console: Console, running: bool = True
) -> Iterator[tuple[str, Service | None]]:
    """The server that a command asks: the one at a URL, else the one that runs here, else one of its own; said aloud.

    Args:
        url: what URL= says.
        specs: the models, for the latter two.
        command: who asks.
        console: where it is said.
        running: whether one that runs will do; not where a revision is asked for, which it need not have.

    Yields:
        Its base address, and the service if it is one of its own.

    Raises:
        BundleError: it does not start; says in one line why.
    """
    names = [spec.name for spec in specs]
    if url:
        console.print(f"{command}: asking the server at URL={url}")
        yield url, None
        return
    if not specs:
        raise BundleError("MODEL= is needed to start a server, or URL= of one that runs")
    try:
        found = asked.running(names) if running else None
    except asked.NoServer:
        found = None
    if found:
        where, trust = asked.address(found)
        if trust:
            os.environ.setdefault("REQUESTS_CA_BUNDLE", str(trust))
        console.print(f"{command}: asking {', '.join(names)} at {where}, which runs here")
        yield where, None
        return
    console.print(f"{command}: asking a server of its own, as none of {', '.join(names)} runs here")
    with serving(specs, command, console) as service:
        yield service.gateway.url, service


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
            stop(GRACE_SECONDS)
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
