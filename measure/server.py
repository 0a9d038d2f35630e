"""Which server is measured: the one at URL=, else one that runs here, else one of the command's own; it says which."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from bundle import BundleError
from bundle.spec import ModelSpec
from clients.identify import ENVIRONMENT_TOKEN
from serving import asked, model_servers
from serving.model_servers import Chosen
from serving.service import Service
from serving.temporary import serving


def add_options(parser: argparse.ArgumentParser) -> None:
    """--url, --model, --server and --token."""
    option = parser.add_argument
    option("--url", default="", help="address of a server (default: one that runs here, else one of its own)")
    option("--model", default="demo", help="a name under models/, or what URL= serves (%(default)s)")
    started = "the model server, if one is started; one that runs must be of this kind"
    option("--server", choices=model_servers.NAMES, help=f"{started} ({model_servers.DEFAULT.name})")
    option("--token", default=os.environ.get(ENVIRONMENT_TOKEN), help=f"(the variable {ENVIRONMENT_TOKEN})")


@contextmanager
def chosen(
    url: str,
    specs: Sequence[ModelSpec],
    command: str,
    console: Console,
    running: bool = True,
    server: str | None = None,
) -> Iterator[tuple[str, Service | None]]:
    """The server that a command measures, which it prints.

    Args:
        url: what URL= says.
        specs: the models, where URL= is not given.
        command: who asks.
        console: where to print it.
        running: whether a server that runs will do; it need not have the revision that is asked for.
        server: the model server, where it matters.

    Yields:
        Its base address, and the service if this command started it.

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
        found = asked.running(names, server=server) if running else None
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
    with serving(specs, command, console, Chosen(server) if server else model_servers.DEFAULT) as service:
        yield service.gateway.url, service
