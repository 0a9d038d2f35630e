"""A burst asks everything at once and counts what is not answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from measure.answer import Label
from measure.compare.burst import burst, read
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target

RANKING = [{"label": "anna", "score": 0.75}, {"label": "bernd", "score": 0.25}]


class Stub(BaseHTTPRequestHandler):
    """Answers only once `together` requests are there; a body of `bad` gets a 500."""

    together = threading.Barrier(3, timeout=600)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.together.wait()
        content = json.dumps(RANKING).encode()
        self.send_response(500 if body == b"bad" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def clip(folder: Path, name: str, content: bytes, seconds: float) -> Clip:
    (folder / name).write_bytes(content)
    return Clip(name, folder / name, seconds, "audio/wav")


def test_all_are_in_flight_at_once_and_a_failure_is_not_counted_as_audio(url: str, tmp_path: Path) -> None:
    clips = [
        clip(tmp_path, "a", b"x", 3.0),
        clip(tmp_path, "b", b"bad", 100.0),
        clip(tmp_path, "c", b"x", 5.0),
    ]
    got = burst(Target(url), clips)
    assert got.audio_seconds == 8.0
    assert got.answers == {"a": Label("anna", 0.75), "c": Label("anna", 0.75)}
    assert list(got.errors) == ["b"]
    assert got.errors["b"].startswith("500: ")
    assert got.throughput == pytest.approx(8.0 / got.seconds)


@pytest.mark.parametrize(
    "content",
    [
        RANKING,
        [RANKING],
        {"predictions": [RANKING]},
        {"model_name": "speaker", "outputs": [{"name": "ranking", "data": [json.dumps(RANKING)]}]},
    ],
    ids=["plain", "in a list", "v1", "JSON within v2"],
)
def test_the_best_label_is_found_however_it_is_wrapped(content: object) -> None:
    assert read(200, json.dumps(content).encode()) == Label("anna", 0.75)


@pytest.mark.parametrize("body", [b"", b"{}", b"not JSON", b'[{"label": "anna"}]'])
def test_an_answer_without_a_ranking_is_an_error(body: bytes) -> None:
    assert "without a ranking" in str(read(200, body))
