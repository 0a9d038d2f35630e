"""Callers that send a clip and hang up without an answer, many a second."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from measure.loadtest.target import Clip
from serving.host.ports import LOOPBACK

GIVE_UP_SECONDS = 10.0  # for a connection


@dataclass
class Storm:
    """What became of it.

    Attributes:
        hung_up, answered: callers; the rest was refused.
        hung_up_seconds, answered_seconds: of audio that they sent.
    """

    hung_up: int = 0
    answered: int = 0
    hung_up_seconds: float = 0.0
    answered_seconds: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def storm(port: int, path: str, clips: Sequence[Clip], rate: float, patience: float) -> Iterator[Storm]:
    """For the block, send clips in turn at regular times; each caller hangs up after its patience, in seconds.

    Args:
        port: of a server on this machine.
        path: of inference.
        clips: what is sent.
        rate: callers a second.
        patience: seconds from the connection to the hang-up; half close the connection (FIN), half break it (RST).
    """
    found = Storm()
    bodies = [clip.path.read_bytes() for clip in clips]

    async def call(number: int) -> None:
        clip, body = clips[number % len(clips)], bodies[number % len(clips)]
        head = f"POST {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(OSError):
            connecting = asyncio.open_connection(LOOPBACK, port)
            reader, writer = await asyncio.wait_for(connecting, GIVE_UP_SECONDS)
            try:
                writer.write(head.encode() + body)
                if b" 200 " in await asyncio.wait_for(reader.readline(), patience):
                    found.answered += 1
                    found.answered_seconds += clip.seconds
            except (TimeoutError, asyncio.TimeoutError):  # two names of one class from Python 3.11 on
                found.hung_up += 1
                found.hung_up_seconds += clip.seconds
            finally:
                if number % 2:
                    writer.transport.abort()
                writer.close()

    async def send() -> None:
        began, calls = time.monotonic(), set[asyncio.Task[None]]()
        number = 0
        while not found.over.is_set():
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            task = asyncio.create_task(call(number))
            calls.add(task)
            task.add_done_callback(calls.discard)
            number += 1
        await asyncio.gather(*calls)

    thread = threading.Thread(target=lambda: asyncio.run(send()), name="storm")
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        thread.join()
