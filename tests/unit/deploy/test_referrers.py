"""A bill of materials attached to an image, in a registry that does not list what refers to it."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from deploy.docker import attach, referrers

IMAGE = "sha256:" + "1" * 64
TAG = f"/v2/voices/manifests/{IMAGE.replace(':', '-')}"
SIGNATURE = {"mediaType": referrers.OCI_MANIFEST, "digest": "sha256:" + "2" * 64, "size": 3}


class Registry(BaseHTTPRequestHandler):
    """Keeps what is put under its path, with its type; of a blob under its digest."""

    stored: dict[str, tuple[str, bytes]]

    def do_HEAD(self) -> None:
        kind, content = self.stored.get(self.path, ("", b""))
        self.send_response(401 if "/private/" in self.path else 200 if kind else 404)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.stored.get(self.path, ("", b""))[1])

    def do_POST(self) -> None:
        self.answer(202)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        address = urlsplit(self.path)
        digest = parse_qs(address.query).get("digest")
        place = f"/v2/voices/blobs/{digest[0]}" if digest else address.path
        self.stored[place] = (self.headers["content-type"] or "blob", content)
        self.answer(201)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("location", "/v2/voices/blobs/uploads/1")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stored() -> dict[str, tuple[str, bytes]]:
    """What is in the registry, by its path: an image."""
    return {f"/v2/voices/manifests/{IMAGE}": (referrers.OCI_MANIFEST, b"{}")}


@pytest.fixture
def repository(stored: dict[str, tuple[str, bytes]]) -> Iterator[str]:
    kind = type("OfThisTest", (Registry,), {"stored": stored})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v2/voices"
        server.shutdown()
        thread.join()


def test_what_was_attached_is_read_back(repository: str) -> None:
    assert referrers.attached(repository, IMAGE) == b""
    referrers.attach(repository, IMAGE, b"bill")
    assert referrers.attached(repository, IMAGE) == b"bill"


def test_what_others_attached_stays_and_the_same_bill_is_there_once(
    repository: str, stored: dict[str, tuple[str, bytes]]
) -> None:
    index = {"schemaVersion": 2, "mediaType": referrers.OCI_INDEX, "manifests": [SIGNATURE]}
    stored[TAG] = (referrers.OCI_INDEX, json.dumps(index).encode())
    made = [referrers.attach(repository, IMAGE, b"bill") for _ in range(2)]
    entries = json.loads(stored[TAG][1])["manifests"]
    assert [each["digest"] for each in entries] == [SIGNATURE["digest"], made[0]]
    assert made[0] == made[1]


def test_an_image_that_is_not_there_gets_nothing(repository: str) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        referrers.attach(repository, "sha256:" + "3" * 64, b"bill")


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("voices", 0, "sha256:"),
        ("private/voices", 1, "401 .*: where it asks for credentials, use `oras attach` or `cosign attest`"),
        ("", 2, "is no repository: https://REGISTRY/REPOSITORY"),
    ],
)
def test_the_command_says_in_one_line_what_became_of_it(
    name: str,
    status: int,
    said: str,
    repository: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bill").write_bytes(b"bill")
    address = repository.replace("v2/voices", name)
    monkeypatch.setattr(sys, "argv", ["attach", address, IMAGE, str(tmp_path / "bill")])
    try:
        ended = attach.main()
    except SystemExit as exc:
        ended = exc.code
    printed = capsys.readouterr()
    (line,) = (printed.out + printed.err).splitlines()
    assert ended == status
    assert re.search(said, line), line
