"""Long lists of numbers are parsed a piece at a time: the values and errors are those of a parse at once, the
interpreter's lock is not held, and no object is made of each number."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_id.clip import EncodedAudio
from speaker_id.errors import RequestError
from speaker_id.protocol import Payload, number_lists, parse
from speaker_id.settings import Settings

from tests.unit.handler.protocol.test_bounds import HOSTILE, JSON, PLACES, array, repeated

SETTINGS = Settings()
AT_ONCE = 1 << 30


def outcome(body: bytes, piece: int) -> Any:
    """The request, or the error's body."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(number_lists, "PIECE", piece)
        try:
            found = parse(Payload({"body": body}), SETTINGS)
        except RequestError as error:
            return error.body()
    clips = [
        bytes(each.data)
        if isinstance(each, EncodedAudio)
        else (each.samples.shape, each.samples.tobytes(), each.sampling_rate)
        for each in found.clips
    ]
    return found.form, clips, found.options, found.id


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_has_the_same_outcome(name: str) -> None:
    assert outcome(HOSTILE[name], 1 << 16) == outcome(HOSTILE[name], AT_ONCE)


ROWS = '{"instances": [{"sampling_rate": 4000, "array": %s}]}'
BATCH = (
    '{"inputs": [{"name": "x", "shape": [2,1,3], "datatype": "FP32", "data": %s,'
    ' "parameters": {"sampling_rate": 8000}}]}'
)
BODIES = {
    "flat": ROWS % "[1, 2.5, -3e-2, 16777217, 1e39, NaN, -Infinity]",
    "blanks": ROWS % "[ 1 , 2 ,\n3\t]",
    "rows": ROWS % "[[1,2],[3,4]]",
    "rows of two lengths": ROWS % "[[1,2],[3,4,5]]",
    "rows of two depths": ROWS % "[[1,2],3,[4,5]]",
    "rows in rows": ROWS % "[[[1,2]],[[3,4]]]",
    "a list beside deeper ones": ROWS % "[[1,2],[[3,4]]]",
    "clips": BATCH % "[[[1,2,3]],[[4,5,6]]]",
    "clips, flat": BATCH % "[1,2,3,4,5,6]",
    "clips of two depths": BATCH % "[[1,2,3],[[4,5,6]]]",
    "too few": BATCH % "[1,2,3,4,5]",
    "nothing": ROWS % "[]",
    "nothing between commas": ROWS % "[1,,2]",
    "blanks between commas": ROWS % "[1,   ,2]",
    "a comma at the end": ROWS % "[1,2,]",
    "a comma at the start": ROWS % "[,1,2]",
    "a boolean": ROWS % "[1,2,true]",
    "samples and files": '{"instances": [{"array": [1,2,3], "sampling_rate": 4000}, {"b64": "UklGRg=="}]}',
    "samples beside what is none": '{"instances": [{"array": [1,2,3], "sampling_rate": 4000}, {"data": ["a","b"]}]}',
    "null": ROWS % "[1,2,null]",
    "text": ROWS % '[1,2,"3"]',
    "text with brackets": ROWS % '[1,2,"[1,2,3]"]',
    "a list in a string": '{"inputs": "[1,2,3,4]", "parameters": {"top_k": [1,2,3]}}',
    "a list that begins in a string": '{"a": "x[", "array": "1,2,3]"}',
    "an object": ROWS % '[1,{"a":2},3]',
    "an open object": ROWS % "[1,{,3]",
    "a leading zero": ROWS % "[1,02,3]",
    "a whole number too long": ROWS % f"[1,{'9' * 400}]",
    "more digits than Python reads": ROWS % f"[1,{'9' * 5000}]",
    "no list of samples": '{"instances": [1,2,3], "parameters": {"top_k": [1]}}',
    "in a key's place": ROWS % "[1,2]" + "}",
    "a list as a key": '{[1,2,3]: 1}',
    "for base64": '{"instances": [{"data": [1,2,3]}]}',
    "for another type": (BATCH % "[1,2,3,4,5,6]").replace("FP32", "BYTES").replace("[2,1,3]", "[6]"),
    "a key twice": '{"instances": [{"array": [1,2], "array": [3,4], "sampling_rate": 4000}]}',
    "not ASCII": ROWS % "[1,٣,4]",
    "invalid after it": (ROWS % "[1,2,3]")[:-2] + "é",
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("piece", [1, 4])
def test_so_has_one_of_short_lists_cut_anywhere(name: str, piece: int) -> None:
    body = BODIES[name].encode()
    assert outcome(body, piece) == outcome(body, AT_ONCE)


@settings(max_examples=200, deadline=None)
@given(JSON, JSON, st.sampled_from(PLACES), st.integers(1, 20), st.integers(1, 9))
def test_so_has_any_json(value: Any, other: Any, place: str, times: int, piece: int) -> None:
    body = (place % ",".join([json.dumps(value)] * times + [json.dumps(other)])).encode()
    assert outcome(body, piece) == outcome(body, AT_ONCE)


def test_other_threads_run_while_one_is_parsed() -> None:
    ticks, over = 0, threading.Event()

    def count() -> None:
        nonlocal ticks
        while not over.is_set():
            time.sleep(0.001)
            ticks += 1

    body = repeated("-0.1234567,", '{"array":[', "0]}", 8 << 20)
    thread = threading.Thread(target=count)
    thread.start()
    try:
        number_lists.load(body, dict)
        assert ticks > 10
    finally:
        over.set()
        thread.join()


def test_no_object_is_made_of_each_number() -> None:
    body = array("0.5,")
    tracemalloc.start()
    try:
        (clip,) = parse(Payload({"body": body}), Settings(max_clip_seconds=600)).clips
        assert tracemalloc.get_traced_memory()[1] < 5 * len(body)
    finally:
        tracemalloc.stop()
    assert not isinstance(clip, EncodedAudio)
    assert clip.samples.dtype == np.float32


def test_no_array_is_kept_while_the_whole_is_parsed() -> None:
    """As where one of the lists is of no samples."""
    samples = b"0," * (2 << 20)
    body = b'{"array": [%s0], "id": [%s0]}' % (samples, samples[: 2 * number_lists.PIECE])
    peaks = []
    for load in (json.loads, lambda text: number_lists.load(text, dict)):
        tracemalloc.start()
        try:
            load(body)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    at_once, ours = peaks
    assert ours < at_once + len(body) // 2


def test_base64_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def loads(text: bytes, **more: Any) -> Any:
        parsed.append(len(text))
        return json.loads(text, **more)

    monkeypatch.setattr(number_lists, "json", SimpleNamespace(loads=loads))
    text = json.dumps({"data": ["QUJD" * number_lists.PIECE]}).encode()
    assert number_lists.load(text, dict) == json.loads(text)
    assert parsed == [len(text)]
