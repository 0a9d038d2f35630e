"""One small request over loopback that is sent without waiting for its answer; each server says what answers it."""

from __future__ import annotations

import contextlib
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping

from serving.model_server import Reply

HEADER = "x-probe"  # the adapters do not count requests with it; the gateway drops a caller's own
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_MOST_BYTES = 65536


class SentProbe(ABC):
    """A POST without a body.

    Args:
        host, port: of the server's inference API.
        path: of the version.
        headers: beside those of every such request.
    """

    def __init__(self, host: str, port: int, path: str, headers: Mapping[str, str]) -> None:
        self._received = b""
        self._socket = socket.create_connection((host, port), 1.0)
        lines = [f"POST {path} HTTP/1.1", "host: localhost", f"{HEADER}: yes", "content-length: 0"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join((*lines, "connection: close", "", "")).encode())
        self._socket.setblocking(False)

    @abstractmethod
    def judge(self, status: int, received: bytes, whole: bool) -> Reply | None:
        """What was received so far, as a reply; None if more of it must be known."""

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
        return self.judge(int(found[1]), self._received, whole)
