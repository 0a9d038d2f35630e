"""Doubles of what the build side talks to, for tests here and elsewhere: a small checkpoint, and a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from safetensors.torch import save_file
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

FAMILIES = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2ForSequenceClassification),
    "hubert": (HubertConfig, HubertForSequenceClassification),
}

OLD_NAMES = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}


def write_checkpoint(
    folder: Path,
    *,
    family: str = "wav2vec2",
    pickled: bool = False,
    labels: tuple[str, ...] = ("anna", "bernd", "chloe"),
    seed: int = 0,
    **config: Any,
) -> Path:
    """A random classifier of about 50,000 parameters in the form of the hub's.

    Args:
        pickled: `pytorch_model.bin` with `weight_g` and `weight_v`, as published before 2023; else safetensors.
        config: over the small configuration, e.g. `feat_extract_norm="layer"`.
    """
    configuration, architecture = FAMILIES[family]
    torch.manual_seed(seed)
    model = architecture(
        configuration(
            **{
                "conv_dim": (16,) * 7,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 64,
                "num_conv_pos_embeddings": 16,
                "num_conv_pos_embedding_groups": 4,
                "classifier_proj_size": 16,
                "use_weighted_layer_sum": True,
                "id2label": dict(enumerate(labels)),
                "label2id": {label: index for index, label in enumerate(labels)},
            }
            | config
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():  # initial values have many zeros and ones, which hide mistakes
            parameter.add_(torch.randn_like(parameter) * 0.05)
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [architecture.__name__]
    model.config.to_json_file(folder / "config.json", use_diff=False)
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if pickled:
        torch.save(
            {_old_name(name): tensor for name, tensor in tensors.items()}, folder / "pytorch_model.bin"
        )
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _old_name(name: str) -> str:
    for new, old in OLD_NAMES.items():
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name


@dataclass
class HubRepo:
    """One model repository: commits are 40 hex digits, `branches` name some of them.

    Attributes:
        lfs: files kept in large-file storage, whose SHA-256 the hub states; the others have git's blob id.
        drops: after how many bytes of a file the next GET loses its connection, once each.
        corrupt: files whose bytes are spoilt on their way.
        gated: without a token, refused.
    """

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    lfs: frozenset[str] = frozenset({"pytorch_model.bin", "model.safetensors"})
    drops: dict[str, list[int]] = field(default_factory=dict)
    corrupt: set[str] = field(default_factory=set)
    gated: bool = False


@dataclass
class HubRequest:
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Hub:
    """A hub on loopback and what it was asked. Endpoints and headers are those that huggingface_hub uses."""

    endpoint: str
    repos: dict[str, HubRepo] = field(default_factory=dict)
    requests: list[HubRequest] = field(default_factory=list)

    def add(self, repo: str, folder: Path, commit: str) -> HubRepo:
        """Publishes the folder's files as a commit of `repo`, and points `main` at it."""
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        known = self.repos.setdefault(repo, HubRepo({}, {}))
        known.commits[commit] = files
        known.branches["main"] = commit
        return known


@contextmanager
def hub() -> Iterator[Hub]:
    """Runs a hub stand-in on a free loopback port for as long as the block runs. Set HF_ENDPOINT to its endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    stand_in = Hub(endpoint=f"http://127.0.0.1:{server.server_port}")
    server.hub = stand_in  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the test's terminal."""

    def _answer(self) -> None:
        stand_in: Hub = self.server.hub  # type: ignore[attr-defined]
        path = urlsplit(self.path).path
        stand_in.requests.append(
            HubRequest(self.command, path, {key.lower(): value for key, value in self.headers.items()})
        )
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case ["api", "models", org, name]:
                self._info(stand_in, f"{org}/{name}", "main")
            case ["api", "models", org, name, "revision", revision]:
                self._info(stand_in, f"{org}/{name}", revision)
            case [org, name, "resolve", revision, file]:
                self._file(stand_in, f"{org}/{name}", revision, file)
            case _:
                self._send(404, {})

    def _find(self, stand_in: Hub, repo_id: str, revision: str) -> tuple[HubRepo, str] | None:
        repo = stand_in.repos.get(repo_id)
        if repo is None:
            self._send(401, {"X-Error-Message": "Invalid username or password."})
            return None
        if repo.gated and "Authorization" not in self.headers:
            self._send(401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
            return None
        commit = repo.branches.get(revision, revision)
        if commit not in repo.commits:
            self._send(
                404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"}
            )
            return None
        return repo, commit

    def _info(self, stand_in: Hub, repo_id: str, revision: str) -> None:
        if (found := self._find(stand_in, repo_id, revision)) is None:
            return
        repo, commit = found
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": _git_blob(content)}
            | (
                {"lfs": {"sha256": _sha256(content), "size": len(content), "pointerSize": 134}}
                if name in repo.lfs
                else {}
            )
            for name, content in repo.commits[commit].items()
        ]
        body = {
            "id": repo_id,
            "modelId": repo_id,
            "sha": commit,
            "private": False,
            "tags": [],
            "siblings": siblings,
        }
        self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _file(self, stand_in: Hub, repo_id: str, revision: str, name: str) -> None:
        if (found := self._find(stand_in, repo_id, revision)) is None:
            return
        repo, commit = found
        content = repo.commits[commit].get(name)
        if content is None:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "ETag": f'"{_git_blob(content)}"'}
        if name in repo.lfs:
            headers |= {"X-Linked-Etag": f'"{_sha256(content)}"', "X-Linked-Size": str(len(content))}
        if name in repo.corrupt:
            content = bytes([content[0] ^ 1]) + content[1:]
        status, start = 200, 0
        if (wanted := self.headers.get("Range")) is not None:
            status, start = 206, int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        drops = repo.drops.get(name, [])
        if self.command == "GET" and drops:
            self._send(status, headers, content[start:], stop_after=drops.pop(0))
        else:
            self._send(status, headers, content[start:])

    def _send(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", stop_after: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:stop_after])
        self.close_connection = self.close_connection or stop_after is not None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
