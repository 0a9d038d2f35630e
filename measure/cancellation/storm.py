"""Callers that send a clip and hang up without an answer, many at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from serving.host.ports import LOOPBACK

GIVE_UP_SECONDS = 10.0  # for a connection
LOOK_SECONDS = 0.02


@dataclass
class Storm:
    """What became of it.

    Attributes:
        hung_up, answered: which body each of these callers sent; the rest was refused.
    """

    hung_up: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def storm(
    port: int,
    path: str,
    bodies: Sequence[bytes],
    callers: int,
    every: float,
    patience: float,
    token: str | None = None,
) -> Iterator[Storm]:
    """For the block, let many callers at once send a clip each, again and again; each hangs up after its patience.

    Args:
        port: of a server on this machine.
        path: of inference.
        bodies: clips, which the callers send in turn.
        callers: at once.
        every: seconds from one time to the next.
        patience: seconds that a caller waits; half close the connection then (FIN), half break it (RST).
        token: that the server accepts, where it demands one.
    """
    found = Storm()
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""

    async def call(number: int) -> None:
        which = number % len(bodies)
        body = bodies[which]
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n{authorization}Content-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            connecting = asyncio.open_connection(LOOPBACK, port)
            reader, writer = await asyncio.wait_for(connecting, GIVE_UP_SECONDS)
            try:
                writer.write(head.encode() + body)
                await writer.drain()
                if b" 200 " in await asyncio.wait_for(reader.readline(), patience):
                    found.answered.append(which)
            except (TimeoutError, asyncio.TimeoutError):  # two names of one class from Python 3.11 on
                found.hung_up.append(which)
            finally:
                if number % 2:
                    writer.transport.abort()
                writer.close()

    async def send() -> None:
        began, calls = time.monotonic(), set[asyncio.Task[None]]()
        times = 0
        while not found.over.is_set():
            if time.monotonic() >= began + times * every:
                times += 1
                calls |= {asyncio.create_task(call(number)) for number in range(callers)}
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.gather(*calls)

    thread = threading.Thread(target=lambda: asyncio.run(send()), name="storm")
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        thread.join()
