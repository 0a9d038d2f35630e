"""Content-Encoding (RFC 9110 §8.4.1): a compressed body → the bytes inside, at most MAX_INFLATED_BYTES of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import brotli  # type: ignore[import-untyped]

from speaker_id.errors import MalformedRequest, RequestTooLarge, UnsupportedMedia
from speaker_id.protocol.request import Bytes
from speaker_id.protocol.values import shown
from speaker_id.settings import MAX_GZIP_MEMBERS, MAX_INFLATED_BYTES

GZIP, ZLIB, RAW = 31, 15, -15  # zlib's window bits
PIECE = 1 << 16  # bytes
CODINGS = ("gzip", "deflate", "br")


def plain(body: Bytes, headers: Mapping[str, str]) -> Bytes:
    """Decompress a body as its Content-Encoding header says; return it unchanged where there is none.

    Args:
        body: as it was sent.
        headers: names in lower case.

    Raises:
        UnsupportedMedia: a coding that is not supported, or several.
        MalformedRequest: the body is not of that coding, or truncated.
        RequestTooLarge: it decompresses to more bytes than are accepted, or has too many members.
    """
    given = headers.get("content-encoding", "")
    coding = given.strip().lower().removeprefix("x-")
    if coding in ("", "identity"):
        return body
    if coding not in CODINGS:
        raise UnsupportedMedia(
            f"content encoding {shown(given)} is not supported: send one of {', '.join(CODINGS)}, or none"
        )
    try:
        inflated, whole = _brotli(body) if coding == "br" else _zlib(body, _window(coding, body))
    except (zlib.error, brotli.error) as exc:
        raise MalformedRequest(
            f"the body is not valid {coding}, although its content encoding is {coding}"
        ) from exc
    if len(inflated) > MAX_INFLATED_BYTES:
        raise RequestTooLarge(f"the body decompresses to more than {MAX_INFLATED_BYTES} bytes, the maximum")
    if not whole:
        raise MalformedRequest(f"the {coding} body is truncated: send the complete body")
    return inflated


def _window(coding: str, body: Bytes) -> int:
    """Return zlib's window bits. `deflate` means zlib's format, but some clients send raw deflate data."""
    if coding == "gzip":
        return GZIP
    return ZLIB if body[:1] and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0 else RAW


def _zlib(body: Bytes, window: int) -> tuple[bytes, bool]:
    """Return the decompressed bytes, at most one more than is accepted, and whether the stream is complete."""
    found, rest = bytearray(), memoryview(body)
    for _ in range(MAX_GZIP_MEMBERS):
        stream = zlib.decompressobj(window)
        while rest and not stream.eof and len(found) <= MAX_INFLATED_BYTES:
            # what follows a member is copied by zlib: a piece, and not the rest of the body
            piece = rest[:PIECE]
            found += stream.decompress(piece, MAX_INFLATED_BYTES + 1 - len(found))
            rest = rest[len(piece) - len(stream.unused_data) - len(stream.unconsumed_tail) :]
        # a gzip file may have several members
        if not stream.eof or window != GZIP or not rest or len(found) > MAX_INFLATED_BYTES:
            return bytes(found), stream.eof
    raise RequestTooLarge(f"the gzip body has more than {MAX_GZIP_MEMBERS} members, the maximum")


def _brotli(body: Bytes) -> tuple[bytes, bool]:
    stream = brotli.Decompressor()
    found = stream.process(bytes(body), output_buffer_limit=MAX_INFLATED_BYTES + 1)
    return found, stream.is_finished()
