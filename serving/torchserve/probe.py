"""One small request that a worker must answer, sent without waiting for the answer."""

from __future__ import annotations

import contextlib
import re
import socket

from serving.model_server import Reply

HEADER = "x-probe"  # the handler does not count requests with it; the gateway drops a caller's own
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_MOST_BYTES = 65536


class Probe:
    """A request without a body: our handler rejects it within a millisecond; another handler answers as it does.

    Args:
        host, port: of TorchServe's inference API.
        path: of the version.
    """

    def __init__(self, host: str, port: int, path: str) -> None:
        self._received = b""
        self._socket = socket.create_connection((host, port), 1.0)
        lines = (f"POST {path} HTTP/1.1", "host: localhost", f"{HEADER}: yes", "content-length: 0")
        self._socket.sendall("\r\n".join((*lines, "connection: close", "", "")).encode())
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
        status = int(found[1])
        if status < 500:
            return Reply(status, answered=True)
        if not whole:
            return None
        unanswered = (b"ServiceUnavailableException", b"Worker died.")
        return Reply(status, answered=not any(words in self._received for words in unanswered))
