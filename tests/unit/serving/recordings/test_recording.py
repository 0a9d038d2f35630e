"""Requests for windows: what is asked for, how it is answered, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import errno
import io
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiohttp import web
from speaker_id import audio
from speaker_id.clip import EncodedAudio, RawAudio

from serving.recordings import application, recording, spool
from serving.recordings.recording import Progress
from serving.recordings.spool import whole
from serving.recordings.upstream import Reply
from serving.recordings.windows import Windows
from tests.unit.handler.pipelines import pipeline
from tests.unit.serving.recordings.inner import Asked, Inner, answered, run

RATE = 16_000
SETTINGS = {"max_batch_audio_seconds": 16.0}  # groups of 4 s
LEVELS = [0.5, 0.5, -0.25, -0.25, -0.25, 0.125]


class InThisProcess:
    """In place of decoder processes."""

    def __init__(self, *, sampling_rate: int, max_seconds: float) -> None:
        self.opened: list[int] = []

    def open(self, file: int, *, block_seconds: float) -> Any:
        with os.fdopen(os.dup(file), "rb") as copy:
            copy.seek(0)
            decoded = audio.decode(
                EncodedAudio(copy.read()), sampling_rate=RATE, max_seconds=3600.0, min_samples=1
            )

        class Blocks(Iterator[Any]):
            blocks = iter(np.array_split(decoded.waveform, 7))
            seconds = len(decoded.waveform) / RATE

            def __next__(self) -> Any:
                return next(self.blocks)

            def close(self) -> None:
                pass

        return Blocks()

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "Recordings", InThisProcess)


def samples(levels: list[float]) -> Any:
    return np.repeat(np.array(levels, np.float32), RATE)  # a second each


def wav(levels: list[float]) -> bytes:
    made = io.BytesIO()
    soundfile.write(made, samples(levels), RATE, format="WAV", subtype="FLOAT")
    return made.getvalue()


def asked(
    body: bytes, headers: dict[str, str], inner: Inner | None = None, **settings: Any
) -> tuple[Reply, Asked]:
    found: list[Asked] = []

    async def use(asking: Asked) -> Reply:
        found.append(asking)
        return await asking.post(body, {"x-split": "recording", **headers})

    return run(use, pipeline(**{**SETTINGS, **settings}), inner), found[0]


def test_every_window_is_answered_and_adjacent_ones_of_a_label_are_a_turn() -> None:
    reply, asking = asked(wav(LEVELS), {"x-windows": "1"})
    found = json.loads(reply.body)
    assert [(each["start"], each["end"]) for each in found["windows"]] == [(k, k + 1.0) for k in range(6)]
    assert [each["ranking"][0] for each in found["windows"]] == [
        {"label": "up" if level > 0 else "down", "score": pytest.approx(abs(level))} for level in LEVELS
    ]
    assert [(each["start"], each["end"], each["label"]) for each in found["turns"]] == [
        (0.0, 2.0, "up"),
        (2.0, 5.0, "down"),
        (5.0, 6.0, "up"),
    ]
    assert reply.headers["x-audio-seconds"] == "6.000"
    assert len(asking.seen) == 2  # of 4 and of 2 windows
    assert asking.splitter.counts.windows == 6


def test_options_are_those_of_a_clip() -> None:
    reply, _ = asked(wav(LEVELS), {"x-query": "windows=2&hop=1&top_k=1&function_to_apply=sigmoid"})
    found = json.loads(reply.body)["windows"]
    assert [(each["start"], each["end"]) for each in found] == [(k, k + 2.0) for k in range(5)]
    assert all(len(each["ranking"]) == 1 for each in found)
    assert found[0]["ranking"][0]["score"] == pytest.approx(1 / (1 + np.exp(-0.5)))


@pytest.mark.parametrize("form", ["inputs", "instances", "array", "tensor"])
def test_the_recording_may_be_in_json(form: str) -> None:
    text = base64.b64encode(wav(LEVELS)).decode()
    bodies: dict[str, Any] = {
        "inputs": {"inputs": text},
        "instances": {"instances": [{"b64": text}]},
        "array": {"instances": [{"array": samples(LEVELS).tolist(), "sampling_rate": RATE}]},
        "tensor": {"inputs": [{"name": "a", "shape": [1], "datatype": "BYTES", "data": [text]}]},
    }
    body = json.dumps({**bodies[form], "parameters": {"windows": {"seconds": 1.5}, "top_k": 1}}).encode()
    reply, _ = asked(body, {"x-split": "clips"})
    assert [each["end"] for each in json.loads(reply.body)["windows"]] == [1.5, 3.0, 4.5, 6.0]


def test_turns_may_be_asked_for_as_rttm() -> None:
    reply, _ = asked(wav(LEVELS), {"x-windows": "1", "x-rttm": "yes", "x-request-id": "call 7"})
    assert reply.headers["content-type"].startswith("text/rttm")
    assert (
        reply.body.decode().splitlines()[1].startswith("SPEAKER call_7 1 2.000 3.000 <NA> <NA> down 0.2500")
    )


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x-windows": "0.1"}, wav(LEVELS), "invalid_parameter"),
        ({"x-query": "windows=3&windows=4"}, wav(LEVELS), "invalid_parameter"),
        ({"x-windows": "1", "x-top-k": "0"}, wav(LEVELS), "invalid_parameter"),
        ({"x-windows": "1", "x-output": "embedding"}, wav(LEVELS), "invalid_parameter"),
        ({"x-windows": "1", "content-encoding": "gzip"}, b"zipped", "malformed_request"),
        ({"x-windows": "1", "content-type": "multipart/form-data; boundary=x"}, b"--x", "malformed_request"),
        ({"x-windows": "1"}, b"", "empty_audio"),
        ({"x-windows": "1"}, b"no audio at all", "unsupported_media"),
        ({"x-windows": "1"}, wav(LEVELS)[:60] + b"\0" * (1 << 20), "request_too_large"),
        ({"x-windows": "1"}, b'{"instances": [{"b64": "AAAA"}, {"b64": "AAAA"}]}', "malformed_request"),
        ({"x-windows": "1"}, whole(RawAudio(np.zeros(200, np.float32), RATE)), "audio_too_short"),
    ],
)
def test_what_is_wrong_is_said(headers: dict[str, str], body: bytes, code: str) -> None:
    reply, asking = asked(body, headers)
    assert 400 <= reply.status < 500
    assert json.loads(reply.body)["code"] == code
    assert asking.seen == []


def test_an_error_about_a_window_names_no_instance() -> None:
    async def inner(request: web.Request, body: bytes) -> web.Response:
        said = {"error": "not finite", "code": "non_finite_audio", "instance": 1}
        return web.json_response(said, status=422)

    reply, _ = asked(wav(LEVELS), {"x-windows": "1"}, inner)
    assert (reply.status, json.loads(reply.body)) == (
        422,
        {"error": "not finite", "code": "non_finite_audio"},
    )


def test_recordings_share_the_room_that_there_is() -> None:
    made = pipeline(**SETTINGS)
    large = wav(LEVELS * 2)  # of the mebibyte that one may have three quarters: five of them have room

    async def inner(request: web.Request, body: bytes) -> web.Response:
        await asyncio.sleep(0.3)
        return answered(made, dict(request.headers), body)

    async def use(asking: Asked) -> tuple[list[Reply], int]:
        headers = {"x-split": "recording", "x-windows": "1"}
        replies = await asyncio.gather(*(asking.post(large, headers) for _ in range(7)))
        return replies, asking.splitter.spool.used

    replies, used = run(use, made, inner)
    found = sorted(reply.status for reply in replies)
    assert (found[0], found[-1], used) == (200, 429, 0)
    assert {json.loads(reply.body)["code"] for reply in replies if reply.status == 429} == {"overloaded"}


def test_an_upload_has_no_name_on_the_disk(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(spool.PIECE)

    async def use() -> tuple[list[Path], int]:
        async with spool.Spool(tmp_path, 4 * spool.PIECE).upload(pieces()) as spooled:
            assert os.fstat(spooled.file.fileno()).st_dev == tmp_path.stat().st_dev
            return [*tmp_path.iterdir()], len(spooled.read())

    assert asyncio.run(use()) == ([], 3 * spool.PIECE)


def test_a_full_disk_is_no_fault_of_the_model_server(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoRoom:
        def write(self, data: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_: nullcontext(NoRoom()))
    reply, asking = asked(wav(LEVELS), {"x-windows": "1"})
    assert (reply.status, json.loads(reply.body)["code"]) == (429, "overloaded")
    assert (asking.seen, asking.splitter.spool.used) == ([], 0)


def test_an_upload_is_written_whole_where_a_call_writes_less() -> None:
    written = bytearray()

    class Short:
        def write(self, data: memoryview) -> int:
            written.extend(data[:3])
            return len(data[:3])

    spool._write(Short(), b"0123456789")  # type: ignore[arg-type]
    assert written == b"0123456789"


def test_a_process_that_starts_while_the_caller_hangs_up_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Slow(InThisProcess):
        def open(self, file: int, *, block_seconds: float) -> Any:
            events.append("opening")
            time.sleep(0.3)
            opened = super().open(file, block_seconds=block_seconds)  # the file is open still
            opened.close = lambda: events.append("closed")
            return opened

    async def use(asking: Asked) -> None:
        headers = {"x-split": "recording", "x-windows": "1"}
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asking.post(wav(LEVELS), headers), 0.1)
        await asyncio.sleep(0.4)
        assert asking.seen == []

    monkeypatch.setattr(application, "Recordings", Slow)
    run(use, pipeline(**SETTINGS))
    assert events == ["opening", "closed"]


def test_a_recording_that_does_not_fit_is_refused_once_the_rate_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr(recording.time, "monotonic", lambda: next(clock))
    progress = Progress(Windows(3.0, 3.0), 100.0, 3600.0)
    progress.add(30.0, depth=3)
    progress.add(30.0, depth=3)
    with pytest.raises(recording.RecordingTooLong, match="send at most 2700 s at a time") as caught:
        progress.add(30.0, depth=3)  # 30 s a second: 120 s for the hour
    assert caught.value.body()["seconds"] == 2700.0


def test_its_length_is_known_from_the_first_windows_on_whatever_its_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = []

    class Noting(Progress):
        def add(self, encoded: float, depth: int) -> None:
            lengths.append(self.length)
            super().add(encoded, depth)

    monkeypatch.setattr(recording, "Progress", Noting)
    asked(wav(LEVELS), {"x-windows": "1"})
    assert set(lengths) == {6.0}


def test_one_whose_length_is_not_known_is_refused_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 50.0, 91.0])
    monkeypatch.setattr(recording.time, "monotonic", lambda: next(clock))
    progress = Progress(Windows(3.0, 1.5), 100.0, None)
    progress.add(30.0, depth=1)
    with pytest.raises(recording.RecordingTooLong) as caught:
        progress.add(30.0, depth=1)
    assert caught.value.seconds == pytest.approx(3.0 + 18 * 1.5)  # 59.3 s of windows: 19 of them


def test_samples_become_a_file_bit_for_bit() -> None:
    two = np.stack([samples([0.1, 0.2]), samples([-0.3, 0.7])])
    read, rate = soundfile.read(io.BytesIO(whole(RawAudio(two, 44_100))), dtype="float32")
    assert rate == 44_100
    assert np.array_equal(read.T, two)
