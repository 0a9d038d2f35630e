"""Which of the servers that `make serve` started on this machine a command uses."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bundle import BundleError
from bundle.command_line import Parser
from serving import state
from serving.gateway import tls
from serving.host import ports
from serving.state import State

UNREACHABLE, NOBODY_READS = 3, 141  # exit codes


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


def options(command: str, url: str, model: str, port: int | None, run: Path) -> list[str]:
    """The client's options for the server at a URL, else for the one that runs here.

    Raises:
        BundleError: none does.
    """
    name = Path(model).name  # superb/hubert-base-superb-ks is served as hubert-base-superb-ks
    if url:
        return [f"--url={url}", *([f"--model={name}"] if name else [])]
    found = running([name] if name else [], port, run)
    where, trust = address(found)
    name = name or found.models[0]
    print(f"{command}: asking {name} at {where}, which runs here", file=sys.stderr)
    return [f"--url={where}", f"--model={name}", *([f"--cacert={trust}"] if trust else [])]


def ask(command: str, client: Callable[[list[str], type[argparse.ArgumentParser]], int], file: str) -> int:
    """Run one of the clients that API consumers copy on the server that these options name.

    Arguments after `--` are the client's, and so are the exit codes; 3 also if no server runs, and 0 if the reader of
    the output has closed it (`make identify … | head`), because make would report any other code.

    Args:
        command: make's target.
        client: its arguments and the parser's class → the exit code.
        file: what lists its options.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m serving.{command}",
        usage="%(prog)s [--url URL] [--model MODEL] [--port PORT] [--run RUN] -- [client's options]",
        epilog=f"The client's options: python {file} --help",
    )
    parser.add_argument("--url", default="", help="of a server (default: the one that runs on this machine)")
    parser.add_argument(
        "--model", default="", help="the name that it is served under (default: the server's first)"
    )
    parser.add_argument("--port", type=ports.number, help="of the server, if several run on this machine")
    parser.add_argument(
        "--run", type=Path, default=state.RUN, help="folder of the servers' state (default: %(default)s)"
    )
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    args = parser.parse_args(given[:end])
    try:
        found = options(command, args.url, args.model, args.port, args.run)
    except BundleError as exc:
        print(f"{command}: {exc}", file=sys.stderr)
        return UNREACHABLE
    code = client([*found, *given[end + 1 :]], Parser)
    return 0 if code == NOBODY_READS else code
