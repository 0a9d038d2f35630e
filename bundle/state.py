"""What is running: one `build/run/PORT/serve.json` a server, written by `make serve`, read by everybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bundle.processes import Identity

RUN = Path("build/run")
FILE = "serve.json"


@dataclass(frozen=True)
class State:
    """One server.

    Attributes:
        models: the names they are served under, as they were asked for.
        url: where callers reach it.
        store: the model store.
        management: path of the socket of TorchServe's management API.
        inference_url, grpc: TorchServe's own, behind the gateway.
        metrics_url: what Prometheus scrapes.
        serve: the process that started it, and ends it in an orderly way.
        gateway: Envoy.
        temp: the folders that go when it stops. TorchServe's processes are known by theirs.
        certificate: the folder of its TLS certificate and key; None for plain HTTP.
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

    def write(self, folder: Path) -> None:
        """Write it whole or not at all."""
        draft = folder / f"{FILE}.new"
        draft.write_text(json.dumps(asdict(self), indent=2))
        draft.replace(folder / FILE)


def read(file: Path) -> State | None:
    """The server of a state file; None if the file has gone meanwhile."""
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    content["serve"] = Identity(**content["serve"])
    content["gateway"] = Identity(**content["gateway"]) if content["gateway"] else None
    return State(**content)


def states(run: Path = RUN) -> Iterator[tuple[Path, State]]:
    """Every server that was started and not stopped, the latest first, with its state file."""
    files = sorted(run.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        if (state := read(file)) is not None:
            yield file, state
