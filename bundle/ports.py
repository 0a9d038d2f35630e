"""Loopback ports for one server."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, fields

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The five ports of one TorchServe, all on loopback."""

    inference: int
    management: int
    metrics: int
    grpc_inference: int
    grpc_management: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*free(len(fields(cls))))

    def taken(self) -> list[int]:
        """Those of the ports that another process listens on."""
        ports = [getattr(self, field.name) for field in fields(self)]
        return [port for port in ports if is_taken(port)]


def free(count: int) -> list[int]:
    """Ports that nobody listens on just now, distinct from each other."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def is_taken(port: int) -> bool:
    """Whether a server could not listen on the port now."""
    with socket.socket() as probe:
        # as servers do: a port whose last connections are still in TIME_WAIT is not taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
