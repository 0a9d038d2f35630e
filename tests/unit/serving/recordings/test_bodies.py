"""What is held in memory while it is parsed has bounds, and a caller that sends slowly holds none of it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from speaker_id.settings import MAX_INFLATED_BYTES
from yarl import URL

from serving.recordings.bodies import HELD_BYTES
from tests.unit.handler.pipelines import pipeline
from tests.unit.serving.recordings.inner import Asked, answered, run
from tests.unit.serving.recordings.test_splitting import CLIPS, SETTINGS, instances

FULL = HELD_BYTES // MAX_INFLATED_BYTES  # requests that hold all of it
WINDOWS = {"x-split": "recording", "x-windows": "0.5"}


def left_during(body: bytes, headers: dict[str, str]) -> int:
    """Bytes that other requests may hold while this one's first group is answered."""
    made, left = pipeline(**SETTINGS), []

    async def use(asked: Asked) -> Any:
        async def inner(request: web.Request, body: bytes) -> web.Response:
            left.append(asked.splitter.bodies.held.left)
            return answered(made, {name.lower(): value for name, value in request.headers.items()}, body)

        answering.append(inner)
        return await asked.post(body, headers)

    answering: list[Any] = []
    reply = run(use, made, lambda request, content: answering[0](request, content))
    assert reply.status == 200, reply.body
    return left[0]


def test_json_that_is_sent_slowly_holds_up_nobody() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(3600)

    async def use(asked: Asked) -> Any:
        sending = [
            asyncio.create_task(asked.session.post("http://s/predictions/m", data=slow(), headers=WINDOWS))
            for _ in range(FULL)
        ]
        try:
            async with asyncio.timeout(5):
                while asked.splitter.spool.used < FULL:  # all have arrived
                    await asyncio.sleep(0.01)
                return await asked.post(instances(CLIPS))
        finally:
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    assert run(use, pipeline(**SETTINGS)).status == 200


def test_a_compressed_body_counts_as_what_it_may_become() -> None:
    compressed = {"content-encoding": "gzip"}
    assert left_during(gzip.compress(instances(CLIPS)), compressed) == HELD_BYTES - MAX_INFLATED_BYTES
    passed = gzip.compress(instances(CLIPS[:1]))
    assert left_during(passed, compressed) == HELD_BYTES - len(passed)


def test_a_recording_in_json_holds_none_while_it_is_answered() -> None:
    body = json.loads(instances(CLIPS[:1]))
    body["parameters"]["windows"] = 0.5
    assert left_during(json.dumps(body).encode(), {}) == HELD_BYTES


def test_a_path_is_taken_as_it_was_sent() -> None:
    paths = ["/predictions/m/1.0%3Ftop_k=1", "/predictions/m/1.0%23", "/predictions/m/%252E%252E"]

    async def use(asked: Asked) -> Any:
        for path in paths:
            async with asked.session.post(URL(f"http://s{path}", encoded=True), data=instances(CLIPS)):
                pass
        return asked.seen

    assert [path for path, _ in run(use, pipeline(**SETTINGS))] == paths
