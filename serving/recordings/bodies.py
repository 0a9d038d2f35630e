"""Bodies that are parsed: how each is received, and the memory that all of them may hold together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from aiohttp import StreamReader, web
from speaker_id.errors import RequestTooLarge
from speaker_id.protocol import binary
from speaker_id.protocol.json_body import is_json
from speaker_id.settings import MAX_INFLATED_BYTES

from serving.recordings.budget import Budget, Reservation
from serving.recordings.spool import Spool

RECORDING = "recording"  # what split.lua says of a request that asks for windows
# Bodies that are held to be parsed, of all requests together, in bytes; the others wait in the gateway. Too high:
# memory. Too low: requests of many clips wait for one another.
HELD_BYTES = 128 << 20


class Bodies:
    """Receives bodies.

    Args:
        spool: where a body is while it arrives from a caller.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool, self.held = spool, Budget(HELD_BYTES)

    async def received(
        self, request: web.Request, pieces: AsyncIterator[bytes], stack: AsyncExitStack
    ) -> tuple[bytes, Reservation]:
        """Return a body, and what is reserved for it until `stack` is closed.

        Raises:
            RequestTooLarge: more bytes than any body may have that is parsed.
            Full: uploads take all the room.
        """
        inflated = "content-encoding" in request.headers  # reserved is what it may become
        if not asks_for_windows(request):  # the gateway has received it whole
            size = MAX_INFLATED_BYTES if inflated else request.content_length or MAX_INFLATED_BYTES
            held = await stack.enter_async_context(self.held.reserved(size))
            return await _joined(pieces), held
        # Its caller may send it as slowly as it likes: until it is whole it is on the disk, where nobody waits for it.
        async with self.spool.upload(pieces) as spooled:
            _check(spooled.size)
            size = MAX_INFLATED_BYTES if inflated else spooled.size
            held = await stack.enter_async_context(self.held.reserved(size))
            return await asyncio.to_thread(spooled.read), held


def asks_for_windows(request: web.Request) -> bool:
    """Whether the gateway has found windows outside the body: then it passes the body on while it receives it."""
    return request.headers.get("x-split") == RECORDING


def may_be_json(request: web.Request, start: bytes) -> bool:
    """Whether a body may be something else than a file of audio, which is sent on while it is received."""
    return binary.HEADER in request.headers or "content-encoding" in request.headers or is_json(start)


async def pieces(start: bytes, content: StreamReader | None = None) -> AsyncIterator[bytes]:
    """Yield a body of which the start has been read."""
    yield start
    if content is not None:
        async for piece in content.iter_any():
            yield piece


async def _joined(arriving: AsyncIterator[bytes]) -> bytes:
    held, size = [], 0
    async for piece in arriving:
        held.append(piece)
        size += len(piece)
        _check(size)
    return b"".join(held)


def _check(size: int) -> None:
    if size > MAX_INFLATED_BYTES:
        raise RequestTooLarge(
            f"the JSON is larger than {MAX_INFLATED_BYTES} bytes: send the bytes of the file"
        )
