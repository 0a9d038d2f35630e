"""Groups → their answers, in order: few in flight, all of one version, and none once the caller has gone."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from speaker_id.errors import DeadlineExceeded
from speaker_id.protocol.deadline import HEADER as TIMEOUT_HEADER

from serving.recordings.counts import Counts
from serving.recordings.tensors import Body
from serving.recordings.upstream import SECONDS, Reply, Upstream, binary_headers

AHEAD = 1  # groups that wait in the queue while every worker has one, so that no worker waits for the next
LONGEST_ID = 56  # of a caller's x-request-id, before the group's number: the handler logs 64 characters
# until a group is sent again that found the queue full; the others of its request are under way
BUSY_SECONDS = 0.5


class Refused(Exception):
    """A group's answer is an error, so the request's is.

    Attributes:
        reply: the error.
        first: the number of the group's first clip in the request; None where clips have none.
    """

    def __init__(self, reply: Reply, first: int | None) -> None:
        super().__init__(reply.status)
        self.reply, self.first = reply, first


class Replaced(Exception):
    """The version that has answered the first groups is no longer served."""


@dataclass(frozen=True)
class Group:
    """One group's request.

    Attributes:
        first: the number of its first clip in the caller's request.
        body: what is sent.
    """

    first: int
    body: Body


@dataclass
class Target:
    """Whom a request is for.

    Attributes:
        model: its name.
        version: that the caller names; None for the default one.
        id: the caller's, which each group's begins with.
        trace: the headers of its trace, and whatever else each group has.
        deadline: seconds since the epoch after which nobody waits for the answer; None for no deadline.
        answered: the version that has answered first, and that answers the rest.
        seconds: of audio that have been worked on.
    """

    model: str
    version: str | None = None
    id: str = ""
    trace: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None
    answered: str | None = None
    seconds: float = 0.0

    @property
    def path(self) -> str:
        version = self.answered or self.version
        return f"/predictions/{self.model}" + (f"/{version}" if version else "")

    @property
    def left(self) -> float | None:
        """Seconds until the deadline; None for no deadline."""
        return None if self.deadline is None else self.deadline - time.time()


class Sending:
    """The groups of one model, of all requests that are being answered: they take turns.

    Args:
        upstream: where they are sent.
        workers: of the model.
        counts: what is counted for the metrics.
    """

    def __init__(self, upstream: Upstream, workers: int, counts: Counts) -> None:
        self.upstream, self.counts = upstream, counts
        self.depth = workers + AHEAD
        self._slots = asyncio.Semaphore(self.depth)  # which is first in, first out

    async def answers(
        self, groups: AsyncIterable[Group], target: Target
    ) -> AsyncGenerator[tuple[Group, Reply], None]:
        """Yield each group with its answer, in order.

        Groups are drawn when they can be sent. Closing this ends what is in flight.

        Raises:
            Refused, Replaced, DeadlineExceeded, ClientError: of the first group that has no answer.
        """
        pending: deque[tuple[Group, asyncio.Task[Reply]]] = deque()
        number = 0
        try:
            async for group in groups:
                number += 1
                pending.append((group, asyncio.create_task(self._send(group, target, number))))
                if len(pending) > self.depth:
                    yield pending[0][0], await pending[0][1]
                    pending.popleft()
            while pending:
                yield pending[0][0], await pending[0][1]
                pending.popleft()
        finally:
            for _, task in pending:
                task.cancel()
            await asyncio.gather(*(task for _, task in pending), return_exceptions=True)

    async def _send(self, group: Group, target: Target, number: int) -> Reply:
        async with self._slots:
            reply = await self._ask(group, target, number)
            # the queue is full: the request gives way, unless nothing of it has been computed
            while reply.status == HTTPStatus.TOO_MANY_REQUESTS and target.answered:
                await asyncio.sleep(BUSY_SECONDS)
                reply = await self._ask(group, target, number)
        if reply.status != HTTPStatus.OK:
            raise Refused(reply, group.first)
        return reply

    async def _ask(self, group: Group, target: Target, number: int) -> Reply:
        headers = {
            **target.trace,
            **binary_headers(group.body),
            "x-request-id": f"{target.id[:LONGEST_ID]}.{number}",
        }
        if (left := target.left) is not None:
            if left <= 0:
                raise DeadlineExceeded(
                    f"the request was not processed whole: its deadline passed {-left:.1f} s before"
                )
            headers[TIMEOUT_HEADER] = f"{left:.3f}"
        pinned = target.answered
        with self.counts.group():
            reply = await self.upstream.send(target.path, headers, group.body.pieces())
        target.seconds += float(reply.headers.get(SECONDS, 0))
        if pinned and reply.status == HTTPStatus.NOT_FOUND:
            raise Replaced
        version = reply.headers.get("x-model-version")
        if version is None or pinned:
            return reply
        target.answered = target.answered or version
        if version == target.answered:
            return reply
        return await self._ask(group, target, number)  # the default has changed between two groups
