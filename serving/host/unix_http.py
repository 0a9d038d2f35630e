"""HTTP over a unix socket, whose file's folder says who may speak to it."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """Status and body of one answer."""

    status: int
    body: bytes


def ask(path: Path, method: str, target: str, timeout: float = 5.0) -> Answer:
    """One request to the server that listens at a socket.

    Args:
        path: the socket.
        method: GET, POST, PUT or DELETE; no body is sent.
        target: path and query, quoted.
        timeout: seconds for every step: to connect, to send, to receive.

    Raises:
        OSError: nobody listens there, or not in time.
        http.client.HTTPException: what came is no HTTP answer.
    """
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
