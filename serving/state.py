"""What is running: one `build/run/PORT/serve.json` a server, written by `make serve`, read by the other commands."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bundle import BundleError, private
from serving.host.processes import Identity

RUN = Path("build/run")
FILE = "serve.json"
SERVE_LOCK = "serve.lock"  # in the server's folder; held as long as its process lives, however that ends
ROLLOUT_LOCK = "rollout.lock"  # beside it; held by the roll-out that is in progress
GRACE_SECONDS = 60.0  # for requests in flight when a server is asked to stop


@dataclass(frozen=True)
class State:
    """One server.

    Attributes:
        models: the names that they are served under, in the order given.
        url: where callers reach it.
        store: the model store.
        management: where the model server's versions are managed; of TorchServe, the path of a socket.
        inference_url, grpc: the model server's own, behind the gateway.
        metrics_url: what Prometheus scrapes.
        serve: the process that started it, and that stops it gracefully on SIGTERM.
        gateway: Envoy.
        temp: the folders that are removed when it stops.
        certificate: the folder of its TLS certificate and key; None for plain HTTP.
        stop_seconds: what it may take at a stop until it has answered: its grace and its stop delay.
        server: which model server it is, as SERVER= says.
        traces: what the processes of the model server, and the splitter, have in their command lines, and no others.
    """

    models: list[str]
    url: str
    store: str
    management: str
    inference_url: str
    metrics_url: str
    grpc: str
    serve: Identity
    gateway: Identity | None
    temp: list[str]
    certificate: str | None = None
    stop_seconds: float = GRACE_SECONDS
    server: str = "torchserve"
    traces: list[str] = field(default_factory=list)

    @property
    def port(self) -> int | None:
        """Of `url`."""
        return urlsplit(self.url).port

    def write(self, folder: Path) -> None:
        """Write it atomically."""
        private.write(folder / FILE, json.dumps(asdict(self), indent=2))


def read(file: Path) -> State | None:
    """The server of a state file; None if the file is gone.

    Raises:
        BundleError: it is empty, damaged, or written by another version.
    """
    try:
        written = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BundleError(f"{file} cannot be read: {exc.strerror}") from exc
    try:
        content = json.loads(written)
        content["serve"] = Identity(**content["serve"])
        content["gateway"] = Identity(**content["gateway"]) if content["gateway"] else None
        return State(**content)
    except ValueError as exc:
        raise BundleError(f"{file} is {'damaged' if written else 'empty'}: it describes no server") from exc
    except (KeyError, TypeError) as exc:
        raise BundleError(f"{file} was written by another version of the bundle") from exc


@functools.cache  # printed once: several steps of one command read the states
def skip(why: str) -> None:
    """Say why a file is ignored."""
    print(f"skipped: {why}", file=sys.stderr)


def states(run: Path = RUN) -> Iterator[tuple[Path, State]]:
    """Every server that was started and not stopped, the latest first, each with its state file.

    A file that cannot be read is skipped, with a warning.
    """
    found: list[tuple[float, Path, State]] = []
    for file in run.glob(f"*/{FILE}"):
        try:
            if (state := read(file)) is not None:
                found.append((file.stat().st_mtime, file, state))
        except FileNotFoundError:  # stopped since
            continue
        except BundleError as exc:
            skip(str(exc))
    for _, file, state in sorted(found, key=lambda each: each[0], reverse=True):
        yield file, state
