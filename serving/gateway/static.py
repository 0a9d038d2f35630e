"""Files that the gateway answers GET and HEAD with by itself: pages, descriptions, sample clips."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundle import private

PAGE = "/page"  # which a browser gets at `/`
ABOUT = "/page.json"  # what it shows of the models
SAMPLES = "/samples"  # their clips, each at SAMPLES/MODEL/CLIP
FOLDER = "static"  # in a server's run folder
LARGEST = 4 << 20  # bytes of one file: Envoy holds all of them in memory
PATH = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")  # as requests.lua leaves it


@dataclass(frozen=True)
class StaticFile:
    """One file and where it is served.

    Attributes:
        path: of its URL, without a slash at the end.
        content_type: of the answer.
        body: what is answered.
        public: whether it is answered without a token where the server asks for one; then it must tell nothing about
            what is served.
        headers: more headers of the answer.
    """

    path: str
    content_type: str
    body: bytes
    public: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert PATH.fullmatch(self.path), self.path
        assert len(self.body) <= LARGEST, self.path

    @property
    def tag(self) -> str:
        """Its ETag, by which a cache asks whether it is still the same."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'


@dataclass(frozen=True)
class Written:
    """A static file as Envoy reads it, once, when it starts."""

    path: str
    file: Path
    headers: Mapping[str, str]


def source_hash(text: str) -> str:
    """A script or style that stands in a page, as Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def places(files: Sequence[StaticFile], run: Path) -> list[Written]:
    """Where each file is in a server's run folder, and all its headers."""
    return [
        Written(
            each.path,
            run / FOLDER / str(number),
            {
                "content-type": each.content_type,
                "cache-control": "no-cache",
                "etag": each.tag,
                **each.headers,
            },
        )
        for number, each in enumerate(files)
    ]


def write(files: Sequence[StaticFile], run: Path) -> None:
    """Write them into a server's run folder."""
    private.folder(run / FOLDER)
    for each, place in zip(files, places(files, run), strict=True):
        private.write(place.file, each.body)


def lua_table(files: Sequence[StaticFile]) -> str:
    """The paths, as health.lua and tokens.lua read them; true for those that need no token."""
    rows = (f"[{json.dumps(each.path)}] = {'true' if each.public else 'false'}" for each in files)
    return f"STATIC = {{{', '.join(rows)}}}\n"


def lua_tags(files: Sequence[StaticFile]) -> str:
    """The tags by path, as health.lua reads them."""
    rows = (f"[{json.dumps(each.path)}] = {json.dumps(each.tag)}" for each in files)
    return f"TAGS = {{{', '.join(rows)}}}\n"
