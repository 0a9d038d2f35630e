"""Requests to the gateway's inner listener, over its socket."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector
from speaker_id.protocol.binary import HEADER
from yarl import URL

from serving.recordings.tensors import Body, Piece

# the gateway bounds every wait by itself
FOREVER = ClientTimeout(total=None, sock_read=None, sock_connect=5.0)
SECONDS = "x-audio-seconds"  # of an answer: what was decoded for it
UNSENT = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")  # which aiohttp would add
# of an answer: what is said of one connection, or by the outer listener itself
DROPPED = frozenset(
    {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "x-request-id"}
)


@dataclass(frozen=True)
class Reply:
    """What was answered; `headers` ignores the case of names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    """The inner listener.

    Args:
        socket: its path.
    """

    def __init__(self, socket: Path) -> None:
        self.session = ClientSession(
            connector=UnixConnector(str(socket), limit=0),
            timeout=FOREVER,
            auto_decompress=False,
            skip_auto_headers=UNSENT,
        )

    async def close(self) -> None:
        await self.session.close()

    async def send(
        self, path: str, headers: Mapping[str, str], body: bytes | AsyncIterator[Piece], method: str = "POST"
    ) -> Reply:
        """Send one request; when the task is cancelled, so is the request.

        Args:
            path: with the query, as they are sent.
            headers: of the request.
            body: whole, or in pieces beside a Content-Length.
            method: of HTTP.

        Raises:
            ClientError, OSError: the gateway has ended, or closed the connection.
        """
        url = URL.build(scheme="http", host="localhost").join(URL(path, encoded=True))
        data = io.BytesIO(body) if isinstance(body, bytes) else body  # which aiohttp sends in pieces
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            return Reply(answer.status, answer.headers, await answer.read())


FAULTS = (ClientError, OSError)


def binary_headers(body: Body) -> dict[str, str]:
    """Headers of a body whose tensors are binary."""
    return {
        HEADER: str(len(body.text)),
        "content-type": "application/octet-stream",
        "content-length": str(body.size),
    }


def passed(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that its caller gets."""
    return {name: value for name, value in headers.items() if name.lower() not in DROPPED}
