"""Multipart forms: what a client sends is taken apart, what is cut off or doubled is refused."""

from __future__ import annotations

import contextlib

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from speaker_id.errors import MalformedRequest, RequestError, RequestTooLarge
from speaker_id.protocol import Options, Payload, parse
from speaker_id.protocol.form import parts
from speaker_id.settings import Settings

TYPE = "multipart/form-data; boundary=XbX"
AUDIO = b"RIFF\r\n--X\r\n\r\n--Xb\x00--\r"  # with what looks like a boundary and is none


def part(name: str, content: bytes = AUDIO, more: str = "") -> bytes:
    return (
        f'--XbX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
    )


END = b"--XbX--\r\n"


def refused(body: bytes, kind: type[RequestError] = MalformedRequest) -> str:
    with pytest.raises(kind) as caught:
        parts(body, TYPE)
    return caught.value.message


def test_every_part_comes_by_its_name_byte_for_byte() -> None:
    body = part("data", more='; filename="a;b.wav"\r\nContent-Type: audio/wav') + part("top_k", b"3") + END
    assert parts(body, TYPE) == {"data": AUDIO, "top_k": b"3"}


def test_an_empty_part_is_empty() -> None:
    assert parts(part("data", b"") + END, TYPE) == {"data": b""}


@pytest.mark.parametrize(
    "content_type", [TYPE.replace("XbX", '"XbX"'), TYPE + "; charset=utf-8", TYPE.upper()]
)
def test_a_content_type_as_clients_write_it(content_type: str) -> None:
    body = part("data") + END
    assert parts(body.upper() if content_type.isupper() else body, content_type).keys()


def test_what_stands_before_and_behind_is_ignored() -> None:
    assert parts(b"preamble\r\n" + part("data") + END + b"epilogue", TYPE) == {"data": AUDIO}


def test_line_feeds_alone_are_accepted() -> None:
    body = b'--XbX\nContent-Disposition: form-data; name="data"\n\nRIFF\n--XbX--\n'
    assert parts(body, TYPE) == {"data": b"RIFF"}


def test_the_form_of_a_real_client() -> None:
    request = requests.Request(
        "POST", "http://localhost", files={"file": ("ä.wav", AUDIO)}, data={"top_k": "3"}
    )
    prepared = request.prepare()
    assert isinstance(prepared.body, bytes)
    understood = parse(Payload({"body": prepared.body}, form=prepared.headers["content-type"]), Settings())
    assert (understood.clips[0].data, understood.options) == (AUDIO, Options(3))  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["data", "top_k"])
def test_two_parts_of_one_name_are_refused(name: str) -> None:
    body = part("data") + part("top_k", b"1") + part(name, b"2") + END
    assert refused(body) == f"the form has two parts named {name!r}; send one"


WHOLE = part("top_k", b"3") + part("data") + END


@pytest.mark.parametrize("length", range(1, len(WHOLE) - len("--\r\n")))
def test_a_form_cut_off_anywhere_is_called_truncated(length: int) -> None:
    message = refused(WHOLE[:length])
    if length >= len("--XbX"):  # less than that does not show the boundary yet
        assert "the multipart body is truncated" in message
        assert f"after {length} bytes" in message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty"),
        (b"garbage", "does not contain its boundary"),
        (b"--XbXyz\r\n\r\n" + END, "not followed by a line break"),
        (b"--XbX\r\n\r\nabc\r\n" + END, "has no name"),
        (b"--XbX\r\nContent-Disposition: form-data\r\n\r\nabc\r\n" + END, "has no name"),
    ],
)
def test_what_is_no_form_is_malformed(body: bytes, message: str) -> None:
    assert message in refused(body)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", ""])
def test_without_a_boundary_it_is_malformed(content_type: str) -> None:
    with pytest.raises(MalformedRequest, match="no boundary"):
        parts(part("data") + END, content_type)


def test_more_parts_than_any_form_needs_are_refused_at_once() -> None:
    assert "more than 16 parts" in refused(
        b"".join(part(f"p{n}", b"") for n in range(100_000)) + END, RequestTooLarge
    )


def test_headers_longer_than_any_part_needs_are_refused() -> None:
    assert "4096 bytes" in refused(part("a" * 1_000_000) + END, RequestTooLarge)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="data"; filename="a.wav"', "data"),
        ("form-data; name=data", "data"),
        ('form-data; filename="a; name=b.wav"; name="data"', "data"),
        ('form-data; filename="a\\"; name=\\"b.wav"; NAME = "data"', "data"),
        ('form-data; name="d\\"a\\\\ta"', 'd"a\\ta'),
        ('form-data; name="ä"', "ä"),
        ("form-data; name*=a; name*0=b; name=data", "data"),  # on which the standard library raises TypeError
        ('form-data; filename="unclosed; name=data', "data"),
        ("form-data;;;= ;name=data;", "data"),
    ],
)
def test_the_name_of_a_part_as_clients_write_it(disposition: str, name: str) -> None:
    body = f"--XbX\r\nContent-Type: a/b\r\ncontent-disposition: {disposition}\r\n\r\nRIFF\r\n--XbX--".encode()
    assert parts(body, TYPE) == {name: b"RIFF"}


@given(st.text(alphabet='name*=0;" \\data\r\n', max_size=60))
def test_any_disposition_is_a_name_or_a_request_error(disposition: str) -> None:
    body = f"--XbX\r\nContent-Disposition: {disposition}\r\n\r\nRIFF\r\n--XbX--".encode()
    with contextlib.suppress(RequestError):
        assert len(parts(body, f"multipart/form-data; boundary=XbX; {disposition}")) == 1


@given(
    st.lists(
        st.sampled_from(
            [part("data"), part("a", b""), END, b"--XbX", b"\r\n", b"\n\n", b"--", b"name", b"\x00"]
        )
    ),
    st.text(max_size=20).map("multipart/form-data; boundary=XbX".__add__) | st.text(),
)
def test_any_pieces_are_parts_or_a_request_error(pieces: list[bytes], content_type: str) -> None:
    with contextlib.suppress(RequestError):
        assert parts(b"".join(pieces), content_type) is not None
