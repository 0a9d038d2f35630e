"""What is held in memory while it is parsed has bounds, and a caller that sends slowly holds none of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from speaker_id.settings import MAX_INFLATED_BYTES
from yarl import URL

from serving.recordings import application, bodies
from serving.recordings.bodies import HELD_BYTES, Lane
from tests.unit.handler.pipelines import pipeline
from tests.unit.serving.recordings.inner import Asked, answered, run
from tests.unit.serving.recordings.test_splitting import CLIPS, SETTINGS, instances

FULL = HELD_BYTES // MAX_INFLATED_BYTES  # requests that hold all of it
COMPRESSED = {"content-encoding": "gzip"}  # for which as much is reserved as for the largest
WINDOWS = {"x-split": "recording", "x-windows": "0.5"}


def lanes(asked: Asked) -> tuple[Lane, Lane]:
    return asked.splitter.bodies.small, asked.splitter.bodies.large


def left_during(body: bytes, headers: dict[str, str]) -> int:
    """Bytes that other requests may hold while this one's first group is answered."""
    made, left = pipeline(**SETTINGS), []

    async def use(asked: Asked) -> Any:
        async def inner(request: web.Request, body: bytes) -> web.Response:
            left.append(sum(lane.held.left for lane in lanes(asked)))
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
                return await asked.post(gzip.compress(instances(CLIPS)), COMPRESSED)
        finally:
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    assert run(use, pipeline(**SETTINGS)).status == 200


def test_a_compressed_body_counts_as_what_it_may_become() -> None:
    assert left_during(gzip.compress(instances(CLIPS)), COMPRESSED) == HELD_BYTES - MAX_INFLATED_BYTES
    passed = gzip.compress(instances(CLIPS[:1]))
    assert left_during(passed, COMPRESSED) == HELD_BYTES - len(passed)


def test_a_recording_in_json_holds_none_while_it_is_answered() -> None:
    body = json.loads(instances(CLIPS[:1]))
    body["parameters"]["windows"] = 0.5
    assert left_during(json.dumps(body).encode(), {}) == HELD_BYTES


def test_a_small_body_does_not_wait_for_large_ones() -> None:
    large = gzip.compress(instances(CLIPS))

    async def use(asked: Asked) -> Any:
        parsing = lanes(asked)[1].parsing
        async with parsing:  # as while one is parsed
            waiting = [asyncio.create_task(asked.post(large, COMPRESSED)) for _ in range(FULL + 1)]
            while lanes(asked)[1].held.left >= MAX_INFLATED_BYTES:  # another would not wait for memory
                await asyncio.sleep(0.01)
            async with asyncio.timeout(60):
                small = await asked.post(instances(CLIPS))
            assert [task for task in waiting if task.done()] == []
        return small, await asyncio.gather(*waiting)

    small, others = run(use, pipeline(**SETTINGS))
    assert {reply.status for reply in (small, *others)} == {200}


def test_small_bodies_have_what_large_ones_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    made, body, arrived = pipeline(**SETTINGS), instances(CLIPS[:1]), asyncio.Barrier(3)
    monkeypatch.setattr(bodies, "SMALL_HELD_BYTES", len(body))

    async def inner(_: web.Request, __: bytes) -> web.Response:
        async with asyncio.timeout(60):
            await arrived.wait()
        return web.Response()

    async def use(asked: Asked) -> Any:
        return await asyncio.gather(*(asked.post(body) for _ in range(3)))

    assert [reply.status for reply in run(use, made, inner)] == [200] * 3


def test_a_body_is_parsed_to_its_end_before_another_though_its_caller_hangs_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, end, body = [], threading.Event(), instances(CLIPS)

    def understood(*_: Any) -> None:
        begun.append(None)
        end.wait(60)

    monkeypatch.setattr(application, "_understood", understood)

    async def use(asked: Asked) -> Any:
        async def until(reached: Callable[[], bool]) -> None:
            async with asyncio.timeout(60):
                while not reached():
                    await asyncio.sleep(0.01)

        held = lanes(asked)[1].held  # of which small bodies have what is left
        before = held.left
        first = asyncio.create_task(asked.post(body))
        await until(lambda: bool(begun))
        second = asyncio.create_task(asked.post(body))
        await until(lambda: held.left == before - 2 * len(body))
        first.cancel()
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(until(lambda: len(begun) == 2), 0.5)
            assert held.left == before - 2 * len(body)
        finally:
            end.set()
        return await second

    assert run(use, pipeline(**SETTINGS)).status == 200


def test_the_memory_of_large_bodies_is_returned_once_they_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    returned = []
    monkeypatch.setattr(bodies, "RETURN_SECONDS", 0.2)
    monkeypatch.setattr(bodies, "return_freed", lambda: returned.append(None))

    async def use(asked: Asked) -> Any:
        await asked.post(instances(CLIPS))
        await asyncio.sleep(0.4)
        assert returned == []
        await asyncio.gather(*(asked.post(gzip.compress(instances(CLIPS)), COMPRESSED) for _ in range(2)))
        async with asyncio.timeout(60):
            while not returned:
                await asyncio.sleep(0.01)

    run(use, pipeline(**SETTINGS))


def test_a_path_is_taken_as_it_was_sent() -> None:
    paths = ["/predictions/m/1.0%3Ftop_k=1", "/predictions/m/1.0%23", "/predictions/m/%252E%252E"]

    async def use(asked: Asked) -> Any:
        for path in paths:
            async with asked.session.post(URL(f"http://s{path}", encoded=True), data=instances(CLIPS)):
                pass
        return asked.seen

    assert [path for path, _ in run(use, pipeline(**SETTINGS))] == paths
