"""Which of the servers that `make serve` started on this machine a command uses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bundle import BundleError
from serving import state
from serving.gateway import tls
from serving.state import State


class NoServer(BundleError):
    """No suitable server is running; the message is one line that names those that are."""


def running(
    models: Iterable[str] = (), port: int | None = None, run: Path = state.RUN, server: str | None = None
) -> State:
    """The most recently started server that serves all these models, at this port and of this kind if one is given.

    Raises:
        NoServer: there is none.
    """
    return with_folder(models, port, run, server)[1]


def with_folder(
    models: Iterable[str] = (), port: int | None = None, run: Path = state.RUN, server: str | None = None
) -> tuple[Path, State]:
    """The same, with its folder."""
    wanted = set(models)
    alive = []
    for file, found in state.states(run):
        # a folder not named after a port: a command's temporary server, which ends with that command
        if not found.serve.alive or not file.parent.name.isdigit():
            continue
        if wanted <= set(found.models) and port in (None, found.port) and server in (None, found.server):
            return file.parent, found
        alive.append(found)
    what = f" of {', '.join(sorted(wanted))}" if wanted else ""
    where = f" on port {port}" if port else ""
    others = "; ".join(f"{', '.join(found.models)} at {found.url}" for found in alive)
    raise NoServer(
        f"no server{what} is running{where}: "
        + (f"these run: {others}" if others else "start one with `make serve`")
    )


def address(server: State) -> tuple[str, Path | None]:
    """Its address for callers on this machine, and the file of authorities that they must trust.

    Raises:
        BundleError: its certificate has expired or is missing.
    """
    if not server.certificate:
        return server.url, None
    certificate = tls.read(Path(server.certificate))
    return certificate.url(server.url), certificate.trust
