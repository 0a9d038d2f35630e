"""A server that fails in every way a server can, for the client to meet."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from clients import identify

GOOD = [{"label": "ann", "score": 0.9}, {"label": "bob", "score": 0.1}]


@dataclass
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: Any = field(default_factory=lambda: GOOD)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False


class Server(ThreadingHTTPServer):
    """Gives the scripted replies in turn, then good ones; remembers what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Reply] = []
        self.good = GOOD
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        self.in_flight = self.most_in_flight = 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def will(self, times: int = 1, **reply: Any) -> None:
        """Answer the next requests like this; the keywords are Reply's."""
        self.script += [Reply(**reply)] * times

    def will_refuse(self, status: int, code: str, times: int = 1, **headers: str) -> None:
        body = {"error": {"code": code, "message": f"because of {code}"}}
        self.will(times, status=status, body=body, headers=headers)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            reply = self.server.script.pop(0) if self.server.script else Reply()
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
        time.sleep(reply.delay)
        with self.server.lock:
            self.server.in_flight -= 1
        if reply.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for each in (self.rfile, self.wfile, self.connection):  # the last of the three really closes
                each.close()
            self.close_connection = True
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {
            "Content-Length": str(len(content)),
            "x-request-id": "r1",
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Not on the test's output."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "BACKOFF_SECONDS", 0.01)
    monkeypatch.delenv(identify.ENVIRONMENT_TOKEN, raising=False)
