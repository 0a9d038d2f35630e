"""A splitter in this process, in front of a stand-in for the gateway's inner listener and the worker behind it."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, UnixConnector, web
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Payload
from speaker_id.statuses import STATUS

from serving.recordings.application import Splitter
from serving.recordings.configuration import Configuration, Served
from serving.recordings.upstream import Reply

Inner = Callable[[web.Request, bytes], Awaitable[web.Response]]
Asking = Callable[["Asked"], Awaitable[Any]]


def answered(pipeline: Pipeline, headers: dict[str, str], body: bytes) -> web.Response:
    """What a worker answers to one request."""
    (outcome,) = pipeline.identify([Payload({"body": body}, headers)])
    found = {"x-model-name": "m", "x-model-version": "1.0", "x-audio-seconds": f"{outcome.audio_seconds:.3f}"}
    found["server-timing"] = "queue;dur=1.0, decode;dur=2.0"
    if outcome.json_bytes is not None:
        found["inference-header-content-length"] = str(outcome.json_bytes)
    status = STATUS[type(outcome.error)].value if outcome.error else 200
    return web.Response(status=status, body=outcome.answer, headers=found)


class Asked:
    """A running splitter.

    Attributes:
        seen: paths and headers of the requests that the inner listener got.
    """

    def __init__(
        self, splitter: Splitter, session: ClientSession, seen: list[tuple[str, dict[str, str]]]
    ) -> None:
        self.splitter, self.session, self.seen = splitter, session, seen

    async def post(
        self, body: bytes, headers: dict[str, str] | None = None, path: str = "/predictions/m"
    ) -> Reply:
        async with self.session.post(
            f"http://splitter{path}", data=io.BytesIO(body), headers=headers
        ) as reply:
            return Reply(reply.status, reply.headers.copy(), await reply.read())


def run(use: Asking, pipeline: Pipeline, inner: Inner | None = None, workers: int = 2) -> Any:
    """Start both, and return what `use` does.

    Args:
        use: asks the splitter.
        pipeline: of the worker; its settings are the model's.
        inner: in place of the worker.
        workers: of the model.
    """

    async def started() -> Any:
        seen: list[tuple[str, dict[str, str]]] = []

        async def handle(request: web.Request) -> web.Response:
            body, headers = (
                await request.read(),
                {name.lower(): value for name, value in request.headers.items()},
            )
            seen.append((request.raw_path, headers))
            if inner is not None:
                return await inner(request, body)
            return await asyncio.to_thread(answered, pipeline, headers, body)

        with tempfile.TemporaryDirectory(prefix="t") as folder:
            sockets = Path(folder, "splitter"), Path(folder, "inner")
            behind = web.Application(client_max_size=1 << 30)
            behind.router.add_route("*", "/{path:.*}", handle)
            served = {"m": Served(pipeline.settings, workers)}
            splitter = Splitter(Configuration(*sockets, served, 120, 1 << 20))
            runners = (
                splitter.runner(),
                web.AppRunner(behind, handler_cancellation=True, auto_decompress=False),
            )
            for runner, socket in zip(runners, sockets, strict=True):
                await runner.setup()
                await web.UnixSite(runner, str(socket)).start()
            try:
                async with ClientSession(connector=UnixConnector(str(sockets[0]))) as session:
                    return await use(Asked(splitter, session, seen))
            finally:
                for runner in runners:
                    await runner.cleanup()

    return asyncio.run(started())
