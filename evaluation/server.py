"""Which server is asked: the one at URL=, else the one that `make serve` started, else one of our own for the while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from bundle import BundleError, state
from bundle.sources import ModelSpec
from bundle.temporary import serving


def running(model: str) -> str | None:
    """The address of a server of this model that `make serve` started here."""
    return next((each.url for _, each in state.states() if each.serve.alive and model in each.models), None)


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
        with serving([spec], "evaluate", console) as service:
            yield service.gateway.url
