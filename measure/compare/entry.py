"""Contender → its server, ready to be started."""

from __future__ import annotations

from pathlib import Path

from bundle.spec import ModelSpec
from measure.compare import environments
from measure.compare.archives import Ours, Usual
from measure.compare.contenders import Contender
from measure.compare.servers import Peer, Server
from measure.compare.usual import Setup
from serving.host import ports


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
    return Peer(contender.peer, environments.python(contender.peer), setup, run)
