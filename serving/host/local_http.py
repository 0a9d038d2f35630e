"""HTTP to servers of this machine, over a unix socket or loopback: one request a connection, and never by a proxy that
the environment names."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

SECONDS = 5.0  # for every step: to connect, to send, to receive
FAULTS = (OSError, http.client.HTTPException)  # what `ask` raises


@dataclass(frozen=True)
class Answer:
    """One answer, received whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def unix(path: Path, timeout: float = SECONDS) -> http.client.HTTPConnection:
    """A connection to the server that listens at a socket, whose folder says who may connect."""
    return _UnixConnection(path, timeout)


def tcp(
    url: str, timeout: float = SECONDS, trust: ssl.SSLContext | None = None
) -> http.client.HTTPConnection:
    """A connection to the server at a URL's host and port; `trust` says which certificates are accepted over https."""
    found = urlsplit(url)
    assert found.hostname is not None, url
    if found.scheme == "https":
        return http.client.HTTPSConnection(found.hostname, found.port, timeout=timeout, context=trust)
    return http.client.HTTPConnection(found.hostname, found.port, timeout=timeout)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request, receive its answer, and close the connection.

    Args:
        connection: of `unix` or `tcp`, not used before.
        method: GET, POST, PUT or DELETE.
        target: path and query, quoted.
        body: what is sent.
        headers: of the request.

    Raises:
        OSError: no server listens there, or it does not answer in time.
        http.client.HTTPException: what was received is not HTTP.
    """
    try:
        connection.request(method, target, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())  # type: ignore[arg-type]  # a Message reads like one
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
