"""A speaker identification server that fails in every way a server can, for clients to meet."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = [{"label": "ann", "score": 0.9}, {"label": "bob", "score": 0.1}]


@dataclass
class Reply:
    """What the server does with one request.

    Attributes:
        delay: seconds before anything is sent.
        drip: seconds before each byte of the body.
        reset: the connection ends by a TCP reset, with nothing sent.
        raw: sent in place of an HTTP response; then the connection ends.
        cut: only so many bytes of the body are sent; then the connection ends.
    """

    status: int = 200
    body: Any = field(default_factory=lambda: GOOD)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    reset: bool = False
    raw: bytes | None = None
    cut: int | None = None


class Server(ThreadingHTTPServer):
    """Gives the scripted replies in turn, then those of `answers` by what was sent, then `otherwise`; remembers what
    came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Reply] = []
        self.answers: dict[bytes, Reply] = {}
        self.otherwise = Reply()
        self.good = GOOD
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.ports: list[int] = []  # of the callers, one a request
        self.lock = threading.Lock()
        self.in_flight = self.most_in_flight = 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def will(self, times: int = 1, **reply: Any) -> None:
        """Answer the next requests like this; the keywords are Reply's."""
        self.script += [Reply(**reply)] * times

    def will_refuse(self, status: int, code: str, times: int = 1, **headers: str) -> None:
        body = {"error": f"because of {code}", "code": code}
        self.will(times, status=status, body=body, headers=headers)

    def next_reply(self, body: bytes) -> Reply:
        return self.script.pop(0) if self.script else self.answers.get(body, self.otherwise)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.server.ports.append(self.client_address[1])
            reply = self.server.next_reply(body)
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
        if reply.raw is not None:
            self.wfile.write(reply.raw)
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
        for byte in content if reply.drip else ():
            time.sleep(reply.drip)
            self.wfile.write(bytes([byte]))
        if not reply.drip:
            self.wfile.write(content[: reply.cut])
        self.close_connection = self.close_connection or reply.cut is not None

    def log_message(self, *_: Any) -> None:
        """Not on the test's output."""


@contextmanager
def serving(kind: type[Server] = Server) -> Iterator[Any]:
    """The server, of some kind, for as long as the block runs."""
    with kind() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
