"""Which of the servers that `make serve` started here a command asks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bundle import BundleError
from serving import state
from serving.gateway import tls
from serving.state import State


class NoServer(BundleError):
    """None runs that would do; the message is one line that says which do."""


def running(models: Iterable[str] = (), port: int | None = None, run: Path = state.RUN) -> State:
    """The server that was started last, of those that serve all these models at this port.

    Raises:
        NoServer: there is none.
    """
    return with_folder(models, port, run)[1]


def with_folder(
    models: Iterable[str] = (), port: int | None = None, run: Path = state.RUN
) -> tuple[Path, State]:
    """The same, with the folder that it writes in."""
    wanted = set(models)
    alive = []
    for file, found in state.states(run):
        # a folder that is no port's: another command's own server, which ends with that command
        if not found.serve.alive or not file.parent.name.isdigit():
            continue
        if wanted <= set(found.models) and (port is None or found.port == port):
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
    """Where its callers on this machine reach it, and the file of authorities that they must trust for it.

    Raises:
        BundleError: its certificate has expired, or is gone.
    """
    if not server.certificate:
        return server.url, None
    certificate = tls.read(Path(server.certificate))
    return certificate.url(server.url), certificate.trust
