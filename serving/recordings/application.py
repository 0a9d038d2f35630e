"""Requests in, answers out: what each is, and who answers it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TypeVar

from aiohttp import web
from speaker_id import protocol
from speaker_id.clip import SAMPLING_RATE
from speaker_id.decoders.recording import Recordings
from speaker_id.errors import RequestError
from speaker_id.protocol import Request, binary
from speaker_id.protocol.render import Answer
from speaker_id.statuses import STATUS

from serving.recordings import clips, groups, merging, turns
from serving.recordings.asked import Path, Recording, of_audio, of_json, payload, target
from serving.recordings.bodies import Bodies, asks_for_windows, may_be_json, pieces
from serving.recordings.configuration import COUNTS, Configuration, Served
from serving.recordings.counts import Counts
from serving.recordings.recording import answer
from serving.recordings.sending import Refused, Replaced, Sending, Target
from serving.recordings.spool import Full, Spool, Spooled, whole
from serving.recordings.upstream import FAULTS, SECONDS, Upstream, passed

Found = TypeVar("Found")
# of a request: what its groups were sent to, more than one after a roll-out
TARGETS = web.RequestKey("targets", list[Target])
log = logging.getLogger(__name__)
# Recordings that are worked on at a time; the others wait. Too high: all of them take turns, and end late. Too low: a
# short one waits for a long one.
WORKING = 4
# of a request: what is said of one connection, or what the gateway has added and adds again
ADDED = frozenset(
    {"host", "connection", "keep-alive", "transfer-encoding", "x-split", "x-query", "x-received", "x-answer-within"}
)  # fmt: skip
BUG = {"error": "the server failed on this request; its log says why", "code": "internal_error"}
AWAY = {"error": "the model server is not accepting requests; try again in a moment", "code": "unavailable"}
FULL = {
    "error": "the recordings of other callers take all the room that there is; try again in a moment",
    "code": "overloaded",
}
REPLACED = {
    "error": "the model's version was replaced twice while this request was processed: send it again",
    "code": "unavailable",
}


class Splitter:
    """The process's one object.

    Args:
        configuration: what it was started with.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.models, self.route_seconds = configuration.models, configuration.route_seconds
        self.upstream = Upstream(configuration.inner)
        self.counts = Counts()
        self.spool = Spool(configuration.listen.parent, configuration.recording_bytes)
        self.bodies = Bodies(self.spool)
        self.working = asyncio.Semaphore(WORKING)
        self.sending = {
            name: Sending(self.upstream, served.workers, self.counts) for name, served in self.models.items()
        }
        self.decoders: dict[float, Recordings] = {}  # by the longest recording; none before the first one

    def runner(self) -> web.AppRunner:
        """What serves the requests of a socket."""
        made = web.Application()
        made.router.add_get(COUNTS, self.tell)
        made.router.add_route("*", "/{path:.*}", self.answer)
        made.on_cleanup.append(self._close)
        return web.AppRunner(
            made,
            handler_cancellation=True,  # a caller that hangs up ends its request's work
            auto_decompress=False,  # a worker does that, within its limits
            access_log=None,  # the gateway's has every request
            keepalive_timeout=600.0,  # the gateway closes idle connections first
        )

    async def _close(self, _: web.Application) -> None:
        for each in self.decoders.values():
            each.close()
        await self.upstream.close()

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response(self.counts.described())

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; the task is cancelled when its caller hangs up."""
        try:
            return await self._answer(request)
        except Refused as refused:
            return _refusal(refused, _spent(request))
        except RequestError as error:
            return _json(STATUS[type(error)].value, error.body(), _spent(request))
        except Full:
            return _json(429, FULL, {"retry-after": "5"})
        except Replaced:
            return _json(503, REPLACED, {"retry-after": "1"})
        except FAULTS:
            return _json(503, AWAY, {"retry-after": "1"})
        except Exception:
            log.exception("a request failed")  # without any of it: where it failed
            return _json(500, BUG)

    async def _answer(self, request: web.Request) -> web.Response:
        content = request.content
        start = await content.readany() if request.can_read_body else b""
        path = Path.of(request.raw_path)
        served = self.models.get(path.model) if path else None
        if path is None or served is None:
            return await self._pass_on(request, pieces(start, content))
        if not may_be_json(request, start):
            if not asks_for_windows(request):
                return await self._pass_on(request, pieces(start, content))
            recording = of_audio(request, path, served.settings)
            async with self.spool.upload(pieces(start, content)) as spooled:
                return await self._record(request, path, served, recording, spooled)
        async with AsyncExitStack() as stack:
            body = await self.bodies.received(request, pieces(start, content), stack)
            asked = await body.parsed(partial(_understood, request, path, body.content, served))
            if asked is None:
                body.held.reduce(len(body.content))
                return await self._pass_on(request, body.content)
            if isinstance(asked, Request):
                return await self._split(request, path, asked, served)
            async with self.spool.upload(pieces(whole(asked.request.clips[0]))) as spooled:
                asked = replace(asked, request=replace(asked.request, clips=()))
                del body
                await stack.aclose()  # others need not wait until the recording is answered
                return await self._record(request, path, served, asked, spooled)

    async def _record(
        self, request: web.Request, path: Path, served: Served, asked: Recording, spooled: Spooled
    ) -> web.Response:
        """Answer a request for windows."""
        self.counts.recordings += 1
        decoders = self._decoders(served.settings.max_recording_seconds)
        began = time.time()
        async with self.working:
            found, replies = await _twice(
                lambda: answer(
                    *(asked, spooled, decoders, self.sending[path.model]),
                    _noted(
                        request,
                        target(request, path, asked.request, began + self.route_seconds - time.time()),
                    ),
                    served,
                )
            )
        headers = merging.headers([reply.headers for reply in replies])
        if asked.rttm:
            name = request.headers.get("x-request-id", "recording")
            text = turns.rttm(name, turns.turns(found))
            return web.Response(text=text, headers={**headers, "content-type": "text/rttm"})
        body, _ = protocol.dump(Answer(turns.answer(found)), served.settings.max_response_bytes)
        return web.Response(body=body, headers={**headers, "content-type": "application/json"})

    def _decoders(self, seconds: float) -> Recordings:
        if seconds not in self.decoders:
            self.decoders[seconds] = Recordings(sampling_rate=SAMPLING_RATE, max_seconds=seconds)
        return self.decoders[seconds]

    async def _split(self, request: web.Request, path: Path, asked: Request, served: Served) -> web.Response:
        """Answer a request of many clips."""
        self.counts.clips += 1
        found, replies = await _twice(
            lambda: clips.answer(
                asked,
                self.sending[path.model],
                _noted(request, target(request, path, asked)),
                served.settings,
            )
        )
        body, json_bytes = protocol.dump(found, served.settings.max_response_bytes)
        headers = merging.headers([reply.headers for reply in replies])
        if json_bytes is not None:
            headers[binary.HEADER] = str(json_bytes)
        kind = "application/json" if json_bytes is None else "application/octet-stream"
        return web.Response(body=body, headers={**headers, "content-type": kind})

    async def _pass_on(self, request: web.Request, body: bytes | AsyncIterator[bytes]) -> web.Response:
        """Have a request answered as it is."""
        self.counts.passed += 1
        query = request.headers.get("x-query", "")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ADDED}
        path = request.raw_path + (f"?{query}" if query else "")
        reply = await self.upstream.send(path, headers, body, request.method)
        return web.Response(status=reply.status, body=reply.body, headers=passed(reply.headers))


def _understood(request: web.Request, path: Path, body: bytes, served: Served) -> Request | Recording | None:
    """Return what a body asks for; None for a worker to answer as it is: one group, or what is not understood.

    Raises:
        RequestError: the request is for windows, and wrong.
    """
    settings = served.settings
    if (found := of_json(request, path, body, settings)) is not None:
        return found
    try:
        asked = protocol.parse(payload(request, path, body), settings)
        protocol.deadline(payload(request, path, b""), asked.timeout)
    except RequestError:
        return None
    if path.of_triton or asked.form not in ("v1", "v2") or len(groups.cut(asked.clips, settings)) < 2:
        return None
    return asked


async def _twice(work: Callable[[], Awaitable[Found]]) -> Found:
    """Have a request answered, once more if its version is replaced: by the one in its place."""
    try:
        return await work()
    except Replaced:
        return await work()


def _noted(request: web.Request, each: Target) -> Target:
    request.setdefault(TARGETS, []).append(each)
    return each


def _spent(request: web.Request) -> dict[str, str]:
    """The header of an error by which its caller's share is charged for what has been worked on."""
    targets = request.get(TARGETS, list[Target]())
    return {SECONDS: f"{sum(each.seconds for each in targets):.3f}"} if targets else {}


def _refusal(refused: Refused, spent: Mapping[str, str]) -> web.Response:
    """The error of a group, which counts its own clips from 0."""
    reply = refused.reply
    kept = {name: value for name, value in passed(reply.headers).items() if name.lower() != SECONDS}
    headers = {**kept, **spent}
    try:
        said = json.loads(reply.body)
    except ValueError:
        said = {}
    if "instance" not in said:
        return web.Response(status=reply.status, body=reply.body, headers=headers)
    number = said.pop("instance")
    if refused.first is not None:
        said["instance"] = number + refused.first
    body = json.dumps(said, separators=(",", ":")).encode()
    return web.Response(status=reply.status, body=body, headers=headers)


def _json(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> web.Response:
    content = json.dumps(body, separators=(",", ":")).encode()  # of text aiohttp would name the charset, too
    return web.Response(
        status=status, body=content, headers={**(headers or {}), "content-type": "application/json"}
    )
