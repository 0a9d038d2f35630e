"""A Hugging Face hub on loopback, for tests: what the real client asks of the real one, and how that goes wrong.

Two servers, as in life: the hub answers for names, commits and small files, and sends the client to a storage host
for large ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent.parent.parent

Ending = str  # "closed": orderly, too early; "reset": by a TCP reset; "held": open and silent


@dataclass
class Repo:
    """One repository of a model or a dataset.

    Attributes:
        commits: commit id (40 hex digits) → file name → content.
        branches: branch or tag → commit id.
        lfs: files in large-file storage, whose SHA-256 the hub states; of the others it states git's blob id.
        faults: for a large file, how its next downloads end: after so many bytes, in which way.
        corrupt: large files whose first byte is spoilt on its way.
        gated: refuses callers without a token.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    lfs: frozenset[str] = frozenset({"pytorch_model.bin", "model.safetensors"})
    faults: dict[str, list[tuple[int, Ending]]] = field(default_factory=dict)
    corrupt: set[str] = field(default_factory=set)
    gated: bool = False


@dataclass(frozen=True)
class Request:
    """One request that came in; header names are in lower case."""

    server: str  # "hub" or "storage"
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Hub:
    """Set HF_ENDPOINT to `endpoint`; `requests` is everything that was asked, in order."""

    endpoint: str = ""
    storage: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def publish(self, repo_id: str, folder: Path, commit: str) -> Repo:
        """The folder's files become a commit of the repository, and `main` points at it."""
        repo = self.repos.setdefault(repo_id, Repo())
        repo.commits[commit] = {path.name: path.read_bytes() for path in folder.iterdir()}
        repo.branches["main"] = commit
        return repo

    def downloads(self, name: str) -> list[str | None]:
        """The Range header of each download of a large file."""
        gets = (
            request for request in self.requests if request.server == "storage" and request.method == "GET"
        )
        return [request.headers.get("range") for request in gets if request.path.endswith(f"/{name}")]


@dataclass(frozen=True)
class Client:
    """`bundle.fetch` with the real huggingface_hub, in a process of its own: it reads its environment at import.

    Attributes:
        endpoint: of the hub that it is to ask.
        folder: its working directory and its cache lie here.
    """

    endpoint: str
    folder: Path

    def start(self, model: str, revision: str = "", **environment: str) -> subprocess.Popen[str]:
        """Starts one fetch. Printed last: folder, revision and file names as JSON, or "error: …" and exit status 1."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        ours = {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(self.folder / "hf"), "NO_PROXY": "127.0.0.1"}
        ours["PYTHONPATH"] = f"{HERE}{os.pathsep}{HERE / 'handler'}"
        (self.folder / "work").mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", FETCH, model, revision],
            cwd=self.folder / "work",
            env=inherited | ours | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, model: str, revision: str = "", **environment: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of one fetch."""
        with self.start(model, revision, **environment) as process:
            try:
                said, complained = process.communicate(timeout=60)
            finally:
                process.kill()
        return process.returncode, said, complained


FETCH = """
import json, sys
from bundle import BundleError
from bundle.fetch import fetch
from bundle.sources import resolve
try:
    fetched = fetch(resolve(sys.argv[1], sys.argv[2] or None))
except BundleError as exc:
    sys.exit(f"error: {exc}")
print(json.dumps([str(fetched.folder), fetched.revision, sorted(fetched.files)]))
"""


@contextmanager
def hub() -> Iterator[Hub]:
    """Runs a hub on free loopback ports for as long as the block runs."""
    stand_in = Hub()
    with ExitStack() as stack:
        stand_in.endpoint = stack.enter_context(_serve(stand_in, "hub"))
        stand_in.storage = stack.enter_context(_serve(stand_in, "storage"))
        stack.callback(stand_in.closing.set)  # first of all, so that a held download lets go
        yield stand_in


@contextmanager
def _serve(stand_in: Hub, role: str) -> Iterator[str]:
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": stand_in, "role": role})
    )
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    role: str

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the test's terminal."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # a client that was killed
            self.close_connection = True

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.requests.append(Request(self.role, self.command, path, headers))
        match [unquote(part) for part in path.strip("/").removeprefix("datasets/").split("/")]:
            case ["api", "models", org, name] if self.role == "hub":
                self._info(f"{org}/{name}", "main")
            case ["api", "models" | "datasets", org, name, "revision", revision] if self.role == "hub":
                self._info(f"{org}/{name}", revision)
            case [org, name, "resolve", revision, *file] if self.role == "hub":
                self._resolve(f"{org}/{name}", revision, "/".join(file))
            case [org, name, commit, file] if self.role == "storage":
                self._large_file(self.hub.repos[f"{org}/{name}"], commit, file)
            case _:
                self._send(404, {})

    def _find(self, repo_id: str, revision: str) -> tuple[Repo, str] | None:
        repo = self.hub.repos.get(repo_id)
        if repo is None:  # the hub does not tell strangers which repositories exist
            self._send(401, {"X-Error-Message": "Invalid username or password."})
            return None
        if repo.gated and "Authorization" not in self.headers:
            self._send(
                401, {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {repo_id} is restricted."}
            )
            return None
        commit = repo.branches.get(revision, revision)
        if commit not in repo.commits:
            self._send(
                404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"}
            )
            return None
        return repo, commit

    def _info(self, repo_id: str, revision: str) -> None:
        if (found := self._find(repo_id, revision)) is None:
            return
        repo, commit = found
        siblings = []
        for name, content in repo.commits[commit].items():
            sibling: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": _git_blob(content)}
            if name in repo.lfs:
                sibling["lfs"] = {"sha256": _sha256(content), "size": len(content), "pointerSize": 134}
            siblings.append(sibling)
        body = {
            "id": repo_id,
            "modelId": repo_id,
            "sha": commit,
            "private": False,
            "tags": [],
            "siblings": siblings,
        }
        self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _resolve(self, repo_id: str, revision: str, name: str) -> None:
        if (found := self._find(repo_id, revision)) is None:
            return
        repo, commit = found
        content = repo.commits[commit].get(name)
        if content is None:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        elif name in repo.lfs:
            linked = {"X-Linked-Etag": f'"{_sha256(content)}"', "X-Linked-Size": str(len(content))}
            location = f"{self.hub.storage}/{repo_id}/{commit}/{name}"
            self._send(302, {"X-Repo-Commit": commit, "Location": location, **linked})
        else:
            self._send(200, {"X-Repo-Commit": commit, "ETag": f'"{_git_blob(content)}"'}, content)

    def _large_file(self, repo: Repo, commit: str, name: str) -> None:
        content = repo.commits[commit][name]
        if name in repo.corrupt:
            content = bytes([content[0] ^ 1]) + content[1:]
        status, headers, start = 200, {"Accept-Ranges": "bytes"}, 0
        if (wanted := self.headers.get("Range")) is not None:
            status, start = 206, int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        faults = repo.faults.get(name, [])
        if self.command == "HEAD" or not faults:
            self._send(status, headers, content[start:])
            return
        after, ending = faults.pop(0)
        self._send(status, headers, content[start:], only=after)
        if ending == "held":
            self.hub.closing.wait()
        elif ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()  # the socket closes, here and without a FIN, once nothing reads from it
            self.connection.close()
        self.close_connection = True

    def _send(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", only: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:only])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
