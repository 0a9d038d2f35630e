"""A multipart form (RFC 7578) → its parts by name.

Parsed here and not by TorchServe, which keeps the last of two parts of one name and drops a truncated part without an
error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from speaker_id.errors import MalformedRequest, RequestTooLarge
from speaker_id.protocol.values import shown
from speaker_id.settings import MAX_FIELDS, MAX_PART_HEADERS

# line breaks are CR LF by the standard; those of hand-written clients are LF
AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
AFTER_HEADERS = re.compile(rb"\r?\n\r?\n")
DISPOSITION = re.compile(r"^content-disposition:(.*)$", re.IGNORECASE | re.MULTILINE)
# no library call: the standard library's reader of parameters raises TypeError over name*=a; name*0=b
PARAMETER = re.compile(r';[ \t]*([^\s;="]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;\s"]*)')


def parts(body: bytes | bytearray, content_type: str) -> dict[str, bytes]:
    """Return the content of every part, by its name.

    Args:
        body: as received.
        content_type: the request's, with the boundary.

    Raises:
        MalformedRequest: the form is truncated, a name is missing or repeated, or the body is no form.
        RequestTooLarge: more parts, or longer part headers, than are accepted.
    """
    boundary = _parameter(content_type, "boundary")
    if not boundary:
        raise MalformedRequest("the multipart content type has no boundary")
    found: dict[str, bytes] = {}
    for name, content in _split(body, b"--" + boundary.encode("utf-8", "replace")):
        if name in found:
            raise MalformedRequest(f"the form has two parts named {shown(name)}; send one")
        if len(found) == MAX_FIELDS:
            raise RequestTooLarge(f"the form has more than {MAX_FIELDS} parts, the maximum")
        found[name] = content
    return found


def _split(body: bytes | bytearray, delimiter: bytes) -> Iterator[tuple[str, bytes]]:
    start = 0 if body.startswith(delimiter) else body.find(b"\n" + delimiter) + 1
    if not body.startswith(delimiter, start):
        raise MalformedRequest(
            "the multipart body is empty" if not body else "the multipart body does not contain its boundary"
        )
    name = None
    while True:
        after = start + len(delimiter)
        line = AFTER_BOUNDARY.match(body, after)
        if line is None and len(body) - after > 1:  # of "--" the second may be missing
            raise MalformedRequest("a boundary of the multipart body is not followed by a line break")
        if line and line[1]:
            return
        after = line.end() if line else len(body)
        headers = AFTER_HEADERS.search(body, after - 1, after + MAX_PART_HEADERS)
        if headers is None and len(body) - after > MAX_PART_HEADERS:
            raise RequestTooLarge(f"a part's headers are longer than {MAX_PART_HEADERS} bytes, the maximum")
        end = body.find(b"\n" + delimiter, headers.end() - 1) if headers else -1
        if headers is None or end < 0:
            where = f"in the part after {shown(name)}" if name is not None else "in its first part"
            raise MalformedRequest(
                f"the multipart body is truncated: it ends {where}, after {len(body)} bytes and without the closing "
                "boundary; send the complete form"
            )
        name = _name(bytes(body[after : headers.start()]))
        yield name, bytes(body[headers.end() : end - (body[end - 1 : end] == b"\r")])
        start = end + 1


def _name(headers: bytes) -> str:
    disposition = DISPOSITION.search(headers.decode("utf-8", "replace"))
    name = _parameter(disposition[1], "name") if disposition else None
    if name is None:
        raise MalformedRequest("a part of the form has no name")
    return name


def _parameter(header: str, name: str) -> str | None:
    """Return a header's parameter, as in `form-data; name="data"`; None if it is missing."""
    for found in PARAMETER.finditer(header):
        if found[1].lower() == name:
            value = found[2]
            return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return None
