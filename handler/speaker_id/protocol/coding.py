"""Content-Encoding (RFC 9110 §8.4.1): a body as its caller compressed it → the bytes that were meant, bounded."""

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
    """The body without its coding; as it is where there is none.

    Raises:
        UnsupportedMedia: a coding that is not read, or several.
        MalformedRequest: the body is not of that coding, or cut off.
        RequestTooLarge: it inflates to more than is accepted, or has too many members.
    """
    given = next((value for name, value in headers.items() if name.lower() == "content-encoding"), "")
    coding = given.strip().lower().removeprefix("x-")
    if coding in ("", "identity"):
        return body
    if coding not in CODINGS:
        raise UnsupportedMedia(
            f"content encoding {shown(given)} is not read; send one of {', '.join(CODINGS)}, or none"
        )
    try:
        inflated, whole = _brotli(body) if coding == "br" else _zlib(body, _window(coding, body))
    except (zlib.error, brotli.error) as exc:
        raise MalformedRequest(f"the body is not valid {coding}, which its content encoding says") from exc
    if len(inflated) > MAX_INFLATED_BYTES:
        raise RequestTooLarge(
            f"the body inflates to more than {MAX_INFLATED_BYTES} bytes, the most that are accepted"
        )
    if not whole:
        raise MalformedRequest(f"the {coding} body is cut off: send it whole")
    return inflated


def _window(coding: str, body: Bytes) -> int:
    """`deflate` means zlib's format; some clients send what is inside of it alone."""
    if coding == "gzip":
        return GZIP
    return ZLIB if body[:1] and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0 else RAW


def _zlib(body: Bytes, window: int) -> tuple[bytes, bool]:
    """What it inflates to, at most a byte more than is accepted, and whether that is all."""
    found, rest = bytearray(), memoryview(body)
    for _ in range(MAX_GZIP_MEMBERS):
        stream = zlib.decompressobj(window)
        while rest and not stream.eof and len(found) <= MAX_INFLATED_BYTES:
            piece = rest[
                :PIECE
            ]  # what is left behind a member is copied: a piece, and not the rest of the body
            found += stream.decompress(piece, MAX_INFLATED_BYTES + 1 - len(found))
            rest = rest[len(piece) - len(stream.unused_data) - len(stream.unconsumed_tail) :]
        # a gzip file may have several members
        if not stream.eof or window != GZIP or not rest or len(found) > MAX_INFLATED_BYTES:
            return bytes(found), stream.eof
    raise RequestTooLarge(
        f"the gzip body has more than {MAX_GZIP_MEMBERS} members, the most that are accepted"
    )


def _brotli(body: Bytes) -> tuple[bytes, bool]:
    stream = brotli.Decompressor()
    found = stream.process(bytes(body), output_buffer_limit=MAX_INFLATED_BYTES + 1)
    return found, stream.is_finished()
