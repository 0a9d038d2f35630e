"""Bodies that are parsed: how each is received, the memory that all of them may hold together, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple, TypeVar

from aiohttp import StreamReader, web
from speaker_id.errors import RequestTooLarge
from speaker_id.memory import return_freed
from speaker_id.protocol import binary
from speaker_id.protocol.json_body import is_json
from speaker_id.settings import MAX_INFLATED_BYTES

from serving.recordings.budget import Budget, Reservation
from serving.recordings.spool import Spool

Found = TypeVar("Found")
RECORDING = "recording"  # what split.lua says of a request that asks for windows
# Bodies that are held to be parsed, of all requests together, in bytes; the others wait in the gateway. Too high:
# memory. Too low: requests of many clips wait for one another.
HELD_BYTES = 128 << 20
# Of these, what small bodies have for themselves where large ones take the rest. Too high: fewer large ones are held.
# Too low: small ones wait for one another until they are answered.
SMALL_HELD_BYTES = 8 << 20
# A body up to this size waits for no larger one, neither for memory nor to be parsed. Too high: one that is parsed in a
# moment waits for one that takes long. Too low: it waits for the largest.
SMALL_BYTES = 1 << 20
# From a large body's end until its memory is returned. Too high: it is kept for longer. Too low: once for each body,
# where they end together.
RETURN_SECONDS = 1.0


class Lane:
    """Bodies of about one size.

    Args:
        limit: bytes that they may hold together.

    Attributes:
        parsing: held while one is parsed: one at a time, as that takes a multiple of its bytes.
    """

    def __init__(self, limit: int) -> None:
        self.held, self.parsing = Budget(limit), asyncio.Lock()


class Body(NamedTuple):
    """A body in memory, with what is reserved for it."""

    content: bytes
    held: Reservation
    parsing: asyncio.Lock

    async def parsed(self, work: Callable[[], Found]) -> Found:
        """Return what `work`, which parses it, returns; in a thread, in its turn.

        The turn, and what is reserved, are kept until the thread has ended, also where the caller hangs up: nothing
        stops a thread, and each holds a multiple of its body.
        """
        async with self.parsing:
            working = asyncio.ensure_future(asyncio.to_thread(work))
            try:
                return await asyncio.shield(working)
            except asyncio.CancelledError:
                await asyncio.wait([working])
                if not working.cancelled():
                    working.exception()  # nobody asks for it; asyncio would log it
                raise


class Bodies:
    """Receives bodies.

    Args:
        spool: where a body is while it arrives from a caller.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.small, self.large = Lane(SMALL_HELD_BYTES), Lane(HELD_BYTES - SMALL_HELD_BYTES)
        self._returning: asyncio.TimerHandle | None = None

    async def received(
        self, request: web.Request, pieces: AsyncIterator[bytes], stack: AsyncExitStack
    ) -> Body:
        """Return a body, for which memory is reserved until `stack` is closed.

        Raises:
            RequestTooLarge: more bytes than any body may have that is parsed.
            Full: uploads take all the room.
        """
        inflated = "content-encoding" in request.headers  # reserved is what it may become
        if not asks_for_windows(request):  # the gateway has received it whole
            size = MAX_INFLATED_BYTES if inflated else request.content_length or MAX_INFLATED_BYTES
            lane, held = await self._reserved(size, stack)
            return Body(await _joined(pieces), held, lane.parsing)
        # Its caller may send it as slowly as it likes: until it is whole it is on the disk, where nobody waits for it.
        async with self.spool.upload(pieces) as spooled:
            _check(spooled.size)
            size = MAX_INFLATED_BYTES if inflated else spooled.size
            lane, held = await self._reserved(size, stack)
            return Body(await asyncio.to_thread(spooled.read), held, lane.parsing)

    async def _reserved(self, size: int, stack: AsyncExitStack) -> tuple[Lane, Reservation]:
        """Return the lane whose turns a body takes, and its memory: a small one's where the large ones leave room, else
        of its own lane."""
        lane = self.small if size <= SMALL_BYTES else self.large
        held = self.large.held if self.large.held.admits(size) else lane.held
        if lane is self.large:
            stack.callback(self._ended)
        return lane, await stack.enter_async_context(held.reserved(size))

    def _ended(self) -> None:
        """Have the memory of a large body returned to the system, once nothing refers to it any longer."""
        if self._returning is None:
            self._returning = asyncio.get_running_loop().call_later(RETURN_SECONDS, self._return)

    def _return(self) -> None:
        self._returning = None
        asyncio.get_running_loop().run_in_executor(None, return_freed)


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
