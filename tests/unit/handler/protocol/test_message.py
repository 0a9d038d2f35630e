"""A ModelInferRequest is the v2 request that says the same, and an answer its ModelInferResponse."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaker_id.clip import EncodedAudio, RawAudio
from speaker_id.errors import InvalidParameter, MalformedRequest, RequestError, RequestTooLarge
from speaker_id.protocol import Embeddings, Model, Payload, Request, Space, parse, render, write_message
from speaker_id.settings import Settings

from tests.e2e.open_inference import field_of, infer_request, infer_response, read, varint

SETTINGS = Settings()
MEGABYTE = 1 << 20


def parsed(message: bytes) -> Request:
    return parse(Payload({"body": message}, form="application/grpc"), SETTINGS)


def tensor(name: bytes, datatype: bytes, shape: bytes, *more: bytes) -> bytes:
    described = field_of(1, name) + field_of(2, datatype) + field_of(3, shape)
    return field_of(5, described + b"".join(more))


def entry(number: int, name: bytes, value: bytes) -> bytes:
    return field_of(number, field_of(1, name) + field_of(2, value))


RATE = entry(4, b"sampling_rate", b"\x10" + varint(16_000))
SAMPLES = np.array([0.25, -0.5, 0.125, 0.0], np.float32)


def test_a_file_in_raw_contents_is_a_clip_with_its_options() -> None:
    request = parsed(field_of(3, b"r-1") + infer_request("demo", b"RIFF", top_k=3))
    (clip,) = request.clips
    assert isinstance(clip, EncodedAudio)
    assert bytes(clip.data) == b"RIFF"
    assert (request.form, request.id, request.options.top_k) == ("grpc", "r-1", 3)
    assert [(output.name, output.binary) for output in request.outputs] == [("label", True), ("score", True)]


@pytest.mark.parametrize(
    "given",
    [
        RATE + tensor(b"waveform", b"FP32", bytes([1, 4])) + field_of(7, SAMPLES.tobytes()),
        RATE + tensor(b"waveform", b"FP32", bytes([1, 4]), field_of(5, field_of(6, SAMPLES.tobytes()))),
        tensor(b"waveform", b"FP32", bytes([1, 4]), RATE) + field_of(7, SAMPLES.tobytes()),
    ],
    ids=["raw", "contents", "the tensor's own rate"],
)
def test_a_waveform_is_taken_from_where_it_stands(given: bytes) -> None:
    (clip,) = parsed(given).clips
    assert isinstance(clip, RawAudio)
    assert clip.sampling_rate == 16_000
    assert np.array_equal(np.asarray(clip.samples).reshape(-1), SAMPLES)


def test_each_of_bytes_contents_is_a_clip() -> None:
    held = field_of(5, field_of(8, b"one") + field_of(8, b"two"))
    request = parsed(tensor(b"audio", b"BYTES", bytes([2]), held))
    assert [bytes(clip.data) for clip in request.clips if isinstance(clip, EncodedAudio)] == [b"one", b"two"]


def test_outputs_and_classes_are_those_asked_for() -> None:
    wanted = field_of(6, field_of(1, b"score") + entry(2, b"classification", b"\x10\x02"))
    (output,) = parsed(wanted + infer_request("demo", b"RIFF", top_k=3)).outputs
    assert (output.name, output.binary, output.classes) == ("score", True, 2)


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        (b"\x0a\xff", MalformedRequest, "not valid protobuf"),
        (b"\x0b", MalformedRequest, "not valid protobuf"),
        (b"\xff" * 11, MalformedRequest, "not valid protobuf"),
        (b"\x28\x01", MalformedRequest, "not valid protobuf"),
        (field_of(3, b"\xff"), MalformedRequest, "not text in UTF-8"),
        (
            infer_request("demo", b"RIFF", top_k=3) + field_of(7, b"x"),
            MalformedRequest,
            "1 inputs, but 2 raw",
        ),
        (
            tensor(b"a", b"BYTES", b"\x01", field_of(5, field_of(8, b"x"))) + field_of(7, b"x"),
            MalformedRequest,
            "send one of them",
        ),
        (tensor(b"a", b"BYTES", b"\x01", field_of(5, b"\x10\x01")), MalformedRequest, "fp32_contents or"),
        (entry(4, b"nonsense", b"\x10\x01"), InvalidParameter, "nonsense"),
        (entry(4, b"top_k", b"\x25" + bytes(4)), MalformedRequest, "'top_k' is no boolean"),
        (entry(4, b"top_k", b"\x21" + bytes(8)), InvalidParameter, "top_k must be a whole number"),
        (infer_request("demo", b"RIFF", top_k=0), InvalidParameter, "top_k"),
        (tensor(b"a", b"BYTES", bytes(4)) + field_of(7, b""), MalformedRequest, "at most 3 whole numbers"),
        (field_of(5, b"") * 100_000, RequestTooLarge, "more than 2112 fields"),
    ],
)
def test_anything_else_is_refused_in_our_words(message: bytes, error: type[RequestError], said: str) -> None:
    with pytest.raises(error) as refused:
        parsed(message)
    assert said in refused.value.message


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_refused(message: bytes) -> None:
    with contextlib.suppress(RequestError):
        parsed(message)


@pytest.mark.parametrize("unit", [b"\x2a\x00", b"\x22\x00", b"\x3a\x00", b"\x28\x00", b"\x1a\x00"])
def test_memory_is_bounded_by_the_messages_length(unit: bytes) -> None:
    message = unit * (MEGABYTE // len(unit))
    tracemalloc.start()
    with pytest.raises(RequestError):
        parsed(message)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * MEGABYTE


def test_an_answer_is_a_model_infer_response() -> None:
    request = parsed(field_of(3, b"r-1") + infer_request("demo", b"RIFF", top_k=2))
    ranking = [{"label": "a", "score": 0.75}, {"label": "é", "score": 0.25}]
    message = write_message(render(request, [ranking], Model("demo", "1.0")), 1000)
    fields = read(message)
    assert [fields[number] for number in (1, 2, 3)] == [[b"demo"], [b"1.0"], [b"r-1"]]
    assert [read(output)[2] + read(output)[3] for output in fields[5]] == [
        [b"BYTES", b"\1\2"],
        [b"FP32", b"\1\2"],
    ]
    assert fields[6][1] == struct.pack("<2f", 0.75, 0.25)
    assert infer_response(message) == {"a": 0.75, "é": 0.25}
    with pytest.raises(RequestTooLarge):
        write_message(render(request, [ranking], Model("demo", "1.0")), len(message) - 1)


def test_an_embedding_says_over_grpc_too_whose_it_is() -> None:
    output = field_of(6, field_of(1, b"embedding"))
    request = parsed(infer_request("demo", b"RIFF", top_k=1) + output)
    assert request.embeds
    embeddings = Embeddings(Space("org/m", "c0ffee", 300), [[0.5] * 300])
    message = write_message(render(request, [], Model("demo", "1.0"), embeddings=embeddings), 10_000)
    fields = read(message)
    (described,) = fields[5]
    told = {entry[1][0]: entry[2][0] for entry in map(read, read(described)[4])}
    assert told == {
        b"model": field_of(3, b"org/m"),
        b"revision": field_of(3, b"c0ffee"),
        b"dim": b"\x10" + varint(300),  # int64_param = 2
    }
    assert fields[6] == [struct.pack("<300f", *[0.5] * 300)]


def test_a_parameter_may_be_a_fraction() -> None:
    def asked(content: bytes) -> bytes:
        return entry(4, b"fpir", content) + infer_request("demo", b"RIFF", top_k=1)

    double = bytes([4 << 3 | 1]) + struct.pack("<d", 0.01)
    assert parsed(asked(double)).options.fpir == 0.01
    assert parsed(asked(field_of(3, b"0.01"))).options.fpir == 0.01
    for content in (bytes([4 << 3 | 1]) + struct.pack("<d", float("nan")), b"\x10" + varint(2)):
        with pytest.raises(InvalidParameter, match=r"fpir must be a number from 0\.001 to 0\.5"):
            parsed(asked(content))
    with pytest.raises(MalformedRequest, match="parameter 'fpir' is no boolean, number or text"):
        parsed(asked(bytes([4 << 3 | 5]) + struct.pack("<f", 0.01)))
