"""Which server is asked: the one at URL=, else the one that `make serve` started, else one of our own for the while."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from bundle import BundleError, archive, ports, state
from bundle.demo import step
from bundle.serve import SIGNALS
from bundle.service import Service
from bundle.sources import ModelSpec
from bundle.stop import stop

GRACE_SECONDS = 10.0
PREFIX = "evaluate-"  # of our own servers' folders


def running(model: str) -> str | None:
    """The address of a server of this model that `make serve` started here."""
    return next((each.url for _, each in state.states() if each.serve.alive and model in each.models), None)


def clean() -> None:
    """End the server that a killed evaluation left behind."""
    for file, left in state.states():
        if file.parent.name.startswith(PREFIX) and not left.serve.alive:
            stop(file, left)
            shutil.rmtree(file.parent, ignore_errors=True)


@contextmanager
def own(spec: ModelSpec, console: Console) -> Iterator[str]:
    """A server of our own, as `make serve` would start it; its folder stays only after a failure, for the logs.

    Raises:
        BundleError: the archive cannot be built, or the server does not start.
    """
    clean()
    archive.build(spec, archive.STORE)
    run = state.RUN / f"{PREFIX}{os.getpid()}"
    service = Service([spec], archive.STORE, run, ports.free(1)[0])
    keep = True
    try:
        with step(console, "starting TorchServe") as progress:
            service.start(progress)
        yield service.gateway.url
        keep = False
    except KeyboardInterrupt:
        keep = False
        raise
    finally:
        for number in SIGNALS:  # stopping takes seconds, and cut short it would leave Java behind
            signal.signal(number, signal.SIG_IGN)
        with step(console, "stopping TorchServe"):
            service.stop(GRACE_SECONDS)
        if not keep:
            shutil.rmtree(run, ignore_errors=True)


@contextmanager
def endpoint(url: str, spec: ModelSpec | None, console: Console) -> Iterator[str]:
    """The base address to ask.

    Raises:
        BundleError: there is no URL=, and nothing can be started.
    """
    if url:
        yield url
    elif spec is None:
        raise BundleError("MODEL= is needed to start a server, or URL= of one that runs")
    elif found := running(spec.name):
        yield found
    else:
        with own(spec, console) as started:
            yield started
