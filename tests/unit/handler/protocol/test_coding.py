"""Compressed bodies: inflated within a bound, or refused by name."""

from __future__ import annotations

import gzip
import time
import zlib

import brotli
import pytest
from speaker_id.errors import MalformedRequest, RequestError, RequestTooLarge, UnsupportedMedia
from speaker_id.protocol.coding import plain
from speaker_id.settings import MAX_GZIP_MEMBERS, MAX_INFLATED_BYTES

from bundle import shipped

TEXT = b"RIFF" + bytes(range(256)) * 40


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


WAYS = {
    "gzip": gzip.compress(TEXT),
    "GZIP ": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
    "deflate": zlib.compress(TEXT),
    "br": brotli.compress(TEXT),
    "identity": TEXT,
    "": TEXT,
}


@pytest.mark.parametrize("coding", WAYS)
def test_a_body_is_what_its_caller_compressed(coding: str) -> None:
    assert plain(bytearray(WAYS[coding]), {"content-encoding": coding}) == TEXT


def test_deflate_without_its_header_is_read_as_browsers_do() -> None:
    assert plain(raw_deflate(TEXT), {"content-encoding": "deflate"}) == TEXT


def refused(body: bytes, coding: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        plain(body, {"content-encoding": coding})
    return caught.value


@pytest.mark.parametrize("coding", ["zstd", "compress", "gzip, br", "gzip,gzip", "x"])
def test_another_coding_is_refused_by_name(coding: str) -> None:
    error = refused(TEXT, coding)
    assert isinstance(error, UnsupportedMedia)
    assert (
        error.message
        == f"content encoding '{coding}' is not supported: send one of gzip, deflate, br, or none"
    )


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [
        ("gzip", gzip.compress(bytes(MAX_INFLATED_BYTES + 1))),
        ("gzip", gzip.compress(bytes(MAX_INFLATED_BYTES // 2 + 1)) * 2),
        ("deflate", zlib.compress(bytes(8 * MAX_INFLATED_BYTES))),
        ("br", brotli.compress(bytes(8 * MAX_INFLATED_BYTES), quality=1)),
    ],
    ids=["gzip", "two members", "deflate", "br"],
)
def test_a_bomb_ends_at_its_limit(coding: str, bomb: bytes) -> None:
    error = refused(bomb, coding)
    assert isinstance(error, RequestTooLarge)
    assert f"more than {MAX_INFLATED_BYTES} bytes" in error.message


def test_members_are_counted_since_each_costs_a_copy_of_the_rest() -> None:
    member = gzip.compress(b"")
    assert plain(member * MAX_GZIP_MEMBERS, {"content-encoding": "gzip"}) == b""
    error = refused(member * (MAX_GZIP_MEMBERS + 1), "gzip")
    assert isinstance(error, RequestTooLarge)
    assert error.message == "the gzip body has more than 256 members, the maximum"


def test_what_is_behind_a_member_is_not_copied_for_each() -> None:
    rest = gzip.compress(bytes(1 << 25), compresslevel=0)[: MAX_INFLATED_BYTES - 10_000]
    began = time.process_time()
    assert "truncated" in refused(gzip.compress(b"") * (MAX_GZIP_MEMBERS - 1) + rest, "gzip").message
    assert time.process_time() - began < 1.5  # 3.8 s where each member copied all that is behind it


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_as_much_as_an_open_body_may_have_passes(coding: str) -> None:
    data = bytes(MAX_INFLATED_BYTES)
    body = {"gzip": gzip.compress, "deflate": zlib.compress, "br": lambda it: brotli.compress(it, quality=1)}
    assert len(plain(body[coding](data), {"content-encoding": coding})) == MAX_INFLATED_BYTES
    assert shipped.shipped("max_request_size") == MAX_INFLATED_BYTES


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_what_is_cut_off_is_not_taken_for_the_whole(coding: str) -> None:
    error = refused(WAYS[coding][:-9], coding)
    assert isinstance(error, MalformedRequest)
    assert error.message == f"the {coding} body is truncated: send the complete body"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_what_is_not_compressed_is_said_to_be_none(coding: str) -> None:
    error = refused(b"\xffRIFF" + TEXT, coding)
    assert isinstance(error, MalformedRequest)
    assert error.message == f"the body is not valid {coding}, although its content encoding is {coding}"


def test_nothing_is_cut_off() -> None:
    assert "truncated" in refused(b"", "gzip").message
