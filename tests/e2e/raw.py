"""Requests as no client would send them."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamReset

from bundle.gateway import Gateway
from bundle.ports import LOOPBACK


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
                    return str(dict(event.headers)[":status"])
                if isinstance(event, StreamReset | ConnectionTerminated):
                    return "reset"
    return "reset"


def refusal(answer: Any) -> None:
    """Our own words, and nothing of what the management API, metrics or Envoy's admin say."""
    if answer.body:
        assert set(json.loads(answer.body)) == {"error", "code"}
