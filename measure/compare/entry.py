"""Contender → its server, ready to be started."""

from __future__ import annotations

from pathlib import Path

from bundle.spec import ModelSpec
from measure import Unavailable
from measure.compare import environments
from measure.compare.archives import Ours, Usual
from measure.compare.contenders import TRITON, Contender
from measure.compare.servers import Peer, Server
from measure.compare.usual import Setup
from serving import model_servers
from serving.host import ports
from serving.model_server import ServerError


def server(contender: Contender, spec: ModelSpec, checkpoint: Path, run: Path) -> Server:
    """A new one, on a free port.

    Raises:
        Unavailable: its environment cannot be made.
    """
    if contender.peer is None:
        return Ours(spec, contender, run)
    layout = contender.layout
    setup = Setup(checkpoint.resolve(), contender.batch, layout.workers, layout.threads, ports.free(1)[0])
    if contender.peer == "torchserve":
        return Usual(setup, run)
    if contender.peer == TRITON:
        try:
            return Peer(TRITON, model_servers.tritonserver().executable, setup, run)
        except ServerError as exc:
            raise Unavailable(str(exc)) from exc
    return Peer(contender.peer, environments.python(contender.peer), setup, run)


def triton_version() -> str:
    """That of the tritonserver that would be used; empty without one."""
    try:
        return model_servers.tritonserver().version
    except ServerError:
        return ""
