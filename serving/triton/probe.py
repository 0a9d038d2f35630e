"""One small request that a worker must answer, sent without waiting for the answer."""

from __future__ import annotations

import contextlib
import re
import socket

from serving.host.ports import LOOPBACK
from serving.model_server import Reply
from serving.triton import forms

HEADER = "x-probe"  # the adapter does not count requests with it; the gateway drops a caller's own
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_MOST_BYTES = 65536


class Probe:
    """A request without a body, which our adapter answers within a millisecond.

    Args:
        port: of Triton's inference API.
        model, version: which.
    """

    def __init__(self, port: int, model: str, version: str) -> None:
        self._received = b""
        self._socket = socket.create_connection((LOOPBACK, port), 1.0)
        lines = [f"POST {forms.path(model, version)} HTTP/1.1", "host: localhost", f"{HEADER}: yes"]
        lines += [f"{forms.LENGTH}: 0", "content-length: 0", "connection: close", "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        self._socket.setblocking(False)

    def reply(self) -> Reply | None:
        """The reply once it has been received completely; None before."""
        while True:
            try:
                received = self._socket.recv(_MOST_BYTES)
            except BlockingIOError:
                return self._read(whole=False)
            except OSError:
                return Reply(0, answered=False)
            if not received:
                return self._read(whole=True)
            self._received = (self._received + received)[:_MOST_BYTES]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _read(self, whole: bool) -> Reply | None:
        found = _STATUS.match(self._received)
        if found is None:
            return Reply(0, answered=False) if whole else None
        # any other status is Triton's own: its queue is full, the worker has ended, the model is being loaded
        return Reply(int(found[1]), answered=int(found[1]) == 200)
