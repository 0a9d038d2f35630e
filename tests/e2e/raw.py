"""Requests as no client would send them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset

from serving.gateway.envoy import Gateway
from serving.host.ports import LOOPBACK


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 is a connection or stream that was ended without an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    version: int = 0


def over_http1(gateway: Gateway, line: str, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    """A request as it is written, over HTTP/1."""
    head = "\r\n".join([line, *(": ".join(pair) for pair in headers), "", ""])
    with socket.create_connection((LOOPBACK, gateway.port), 30) as sock:
        with contextlib.suppress(OSError):  # refused, and closed, before all of it was sent
            sock.sendall(head.encode("latin-1") + body)
        answer = http.client.HTTPResponse(sock, method=line.split()[0])
        try:
            answer.begin()
            return Answer(answer.status, dict(answer.headers.items()), answer.read(), answer.version)
        finally:
            answer.close()


def over_http2(
    gateway: Gateway, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes
) -> Answer:
    """The same over HTTP/2."""
    connection = H2Connection(H2Configuration(header_encoding="utf-8", validate_outbound_headers=False))
    connection.initiate_connection()
    pseudo = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "any")]
    connection.send_headers(1, [*pseudo, *headers], end_stream=not body)
    if body:
        connection.send_data(1, body, end_stream=True)
    found: dict[str, str] = {}
    content = b""
    with socket.create_connection((LOOPBACK, gateway.port), 30) as sock:
        sock.sendall(connection.data_to_send())
        while received := sock.recv(65536):
            for event in connection.receive_data(received):
                if isinstance(event, ResponseReceived):
                    found = {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, DataReceived):
                    content += event.data
                elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
                    return Answer(int(found.get(":status", 0)), found, content)
            sock.sendall(connection.data_to_send())
    return Answer(0, {}, b"")


def send(gateway: Gateway, text: str) -> http.client.HTTPResponse:
    """A request as it is written, which no client would send; the answer."""
    with socket.create_connection((LOOPBACK, gateway.port), 20) as sock:
        sock.sendall(text.encode("latin-1"))
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        answer.body = answer.read()  # type: ignore[attr-defined]
        answer.close()
        return answer


def send_over_http2(gateway: Gateway, **headers: str) -> str:
    """The status of the answer to headers that no client would send; `reset` if there is none."""
    connection = H2Connection(
        H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
        )
    )
    connection.initiate_connection()
    given = {":method": "GET", ":path": "/models", ":scheme": "http", ":authority": "any"}
    given |= {name.replace("_", ":", 1) if name.startswith("_") else name: headers[name] for name in headers}
    connection.send_headers(1, list(given.items()), end_stream=True)
    with socket.create_connection((LOOPBACK, gateway.port), 20) as sock:
        sock.sendall(connection.data_to_send())
        while received := sock.recv(65536):
            for event in connection.receive_data(received):
                if isinstance(event, ResponseReceived):
                    return str(dict(event.headers)[":status"])  # type: ignore[index]
                if isinstance(event, StreamReset | ConnectionTerminated):
                    return "reset"
    return "reset"


def refusal(answer: Any) -> None:
    """Our own words, and nothing of what the management API, metrics or Envoy's admin say."""
    if answer.body:
        assert set(json.loads(answer.body)) == {"error", "code"}
