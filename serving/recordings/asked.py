"""What a request is: which model it is for, when it was received, and the windows that it asks for."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from speaker_id import protocol
from speaker_id.errors import InvalidParameter, MalformedRequest, UnsupportedMedia
from speaker_id.protocol import Payload, Request, binary, coding, json_body
from speaker_id.settings import MAX_FIELDS, Settings

from serving.recordings import windows
from serving.recordings.sending import Target
from serving.recordings.windows import Windows

PATH = re.compile(
    r"/predictions/(?P<name>[\w.-]+)(/(?P<version>[\w.-]+)(/(?P<rest>.+))?)?"
    r"|/v1/models/(?P<v1>[\w.-]+):predict|/v2/models/(?P<v2>[\w.-]+)/infer",
    re.ASCII,
)
QUERY = ("windows", "hop")
TRACE = ("traceparent", "tracestate")
WINDOWS = {"x-windows": "of a group"}  # by which serving/triton/gateway.lua knows whose form the answer needs
KEY = b'"windows"'  # of a JSON body's parameters
CODED = ("content-encoding", binary.HEADER)
NOTHING = b"-"  # in place of the audio, where only the options are parsed


class Path(NamedTuple):
    """What a path names."""

    model: str
    version: str | None
    rest: str

    @classmethod
    def of(cls, path: str) -> Path | None:
        """Read a path as it was sent: what is escaped in it is of no name, and would be another path once it is not."""
        found = PATH.fullmatch(path)
        if found is None:
            return None
        return cls(found["name"] or found["v1"] or found["v2"], found["version"], found["rest"] or "")

    @property
    def of_triton(self) -> bool:
        """Whether the version may be Triton's number of one: then binary tensors of clips get Triton's own form of
        answer."""
        return self.version is not None and "." not in self.version


def payload(request: web.Request, path: Path, body: bytes, query: str | None = None) -> Payload:
    """Return a request as the core parses it."""
    received, within = (request.headers.get(name, "") for name in ("x-received", "x-answer-within"))
    try:
        began, seconds = float(received.split()[0]), float(within)
    except (ValueError, IndexError):
        began, seconds = time.time(), None
    asked = request.headers.get("x-query", "") if query is None else query
    return Payload({"body": body}, request.headers, path.rest, began, seconds, query=asked)


def target(request: web.Request, path: Path, asked: Request, seconds: float | None = None) -> Target:
    """Return which model and version a request is for.

    Args:
        seconds: from now until nobody waits for the answer to a recording; None for clips, where that is counted from
            the request's arrival.
    """
    given = payload(request, path, b"")
    if seconds is not None and given.received is not None:
        given = replace(given, within=time.time() - given.received + seconds)
    return Target(
        path.model,
        path.version,
        request.headers.get("x-request-id", ""),
        {name: request.headers[name] for name in TRACE if name in request.headers}
        | ({} if seconds is None else WINDOWS),
        protocol.deadline(given, asked.timeout),
    )


@dataclass(frozen=True)
class Recording:
    """A request for windows.

    Attributes:
        windows: those asked for.
        request: its options, and its one clip where the body is JSON.
        rttm: whether the turns are asked for as RTTM.
    """

    windows: Windows
    request: Request
    rttm: bool


def of_audio(request: web.Request, path: Path, settings: Settings) -> Recording:
    """Return what a request asks for whose body is the recording.

    Raises:
        InvalidParameter, UnsupportedMedia, MalformedRequest: an option is wrong, or the body is no plain file.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMedia(
            "a recording is sent without content encoding: send it in a compressed audio format"
        )
    if request.content_type.startswith("multipart/"):
        raise MalformedRequest("a recording is not sent as a form: send the bytes of the file as the body")
    asked, query = _outside(request)
    if asked is None:
        raise InvalidParameter("hop is of windows: windows=3&hop=1.5")
    return _recording(request, asked, protocol.parse(payload(request, path, NOTHING, query), settings))


def of_json(request: web.Request, path: Path, body: bytes, settings: Settings) -> Recording | None:
    """Return what a request asks for whose body is JSON; None if it asks for no windows.

    Raises:
        RequestError: the body, or an option, is wrong.
    """
    content = coding.plain(body, request.headers)
    text, tail = binary.split(content, request.headers)
    asked, query = _outside(request)
    if KEY in text:
        document = json_body.load(text, settings)
        given = document.get("parameters") if isinstance(document, dict) else None
        if isinstance(given, dict) and (inside := given.pop("windows", None)) is not None:
            asked = windows.from_parameter(inside)
            options = protocol.options_beside(payload(request, path, b"", query))
            return _recording(request, asked, protocol.parse_json(document, settings, options, tail))
    if asked is None:
        return None
    headers = {name: value for name, value in request.headers.items() if name.lower() not in CODED}
    whole = bytes(text) if tail is None else b"".join((text, tail.content))
    if tail is not None:
        headers[binary.HEADER] = str(len(text))
    parsed = protocol.parse(replace(payload(request, path, whole, query), headers=headers), settings)
    return _recording(request, asked, parsed)


def _outside(request: web.Request) -> tuple[Windows | None, str]:
    """Return the windows of the header, else those of the query, and the query's other options."""
    given = request.headers.get("x-query", "")
    pairs = (
        parse_qsl(given, keep_blank_values=True, max_num_fields=MAX_FIELDS) if "windows=" in given else None
    )
    if pairs is None:
        header = request.headers.get("x-windows")
        return None if header is None else windows.from_header(header), given
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in QUERY):
        raise InvalidParameter("the query gives windows, or hop, twice")
    found = windows.from_query(dict(pairs))
    if (header := request.headers.get("x-windows")) is not None:
        found = windows.from_header(header)
    return found, urlencode([pair for pair in pairs if pair[0] not in QUERY])


def _recording(request: web.Request, found: Windows, asked: Request) -> Recording:
    if asked.embeds:
        raise InvalidParameter("windows are answered with rankings: output embedding is of clips")
    if len(asked.clips) != 1:
        raise MalformedRequest(f"windows are of one recording, but the request has {len(asked.clips)} clips")
    # in v1's form every window is a ranking, or one for each head
    return Recording(found, replace(asked, form="v1"), request.headers.get("x-rttm") == "yes")
