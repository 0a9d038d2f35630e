"""The client against a server that fails in every way a server can."""

from __future__ import annotations

import csv
import io
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clients import identify
from clients.identify import BadAnswer, Client, Refused, Unreachable

GOOD = [{"label": "ann", "score": 0.9}, {"label": "bob", "score": 0.1}]


@dataclass
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: Any = field(default_factory=lambda: GOOD)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False


class Server(ThreadingHTTPServer):
    """Gives the scripted replies in turn, then good ones; remembers what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Reply] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        self.in_flight = self.most_in_flight = 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            reply = self.server.script.pop(0) if self.server.script else Reply()
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
        time.sleep(reply.delay)
        with self.server.lock:
            self.server.in_flight -= 1
        if reply.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for each in (self.rfile, self.wfile, self.connection):  # the last of the three really closes
                each.close()
            self.close_connection = True
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {
            "Content-Length": str(len(content)),
            "x-request-id": "r1",
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Not on the test's output."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "BACKOFF_SECONDS", 0.01)
    monkeypatch.delenv(identify.ENVIRONMENT_TOKEN, raising=False)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, "sid", retries=2, timeout=(2.0, 5.0)) as connected:
        yield connected


def refusal(status: int, code: str, **headers: str) -> Reply:
    return Reply(status, {"error": {"code": code, "message": f"because of {code}"}}, headers)


class TestClient:
    def test_it_sends_the_bytes_and_gives_the_labels_best_first(self, client: Client, server: Server) -> None:
        answer = client.identify(b"audio")
        assert [(each.label, each.score) for each in answer.labels] == [("ann", 0.9), ("bob", 0.1)]
        assert (answer.attempts, answer.request_id, json.loads(answer.body)) == (1, "r1", GOOD)
        path, headers, body = server.requests[0]
        assert (path, body) == ("/predictions/sid", b"audio")
        assert headers["content-type"] == "application/octet-stream"
        assert not {"x-top-k", "x-function-to-apply", "authorization"} & headers.keys()

    def test_options_version_and_token_travel_with_the_request(self, server: Server) -> None:
        with Client(server.url + "/", "a b", version="1.0", token="t0k") as client:
            client.identify(b"audio", top_k=2, function_to_apply="sigmoid")
        path, headers, _ = server.requests[0]
        assert path == "/predictions/a%20b/1.0"
        assert (headers["x-top-k"], headers["x-function-to-apply"]) == ("2", "sigmoid")
        assert headers["authorization"] == "Bearer t0k"

    @pytest.mark.parametrize("status", [429, 503, 507])
    def test_a_busy_server_is_asked_again(self, client: Client, server: Server, status: int) -> None:
        server.script = [refusal(status, "overloaded"), refusal(status, "overloaded")]
        assert client.identify(b"audio").attempts == 3
        assert [body for _, _, body in server.requests] == [b"audio"] * 3

    def test_a_server_that_stays_busy_is_quoted_in_the_end(self, client: Client, server: Server) -> None:
        server.script = [refusal(503, "overloaded")] * 9
        with pytest.raises(Refused, match=r"because of overloaded \(503 overloaded\)") as caught:
            client.identify(b"audio")
        assert (caught.value.status, caught.value.code) == (503, "overloaded")
        assert len(server.requests) == 3

    def test_it_waits_as_long_as_the_server_asks(self, client: Client, server: Server) -> None:
        server.script = [refusal(503, "overloaded", **{"Retry-After": "1"})]
        assert 1.0 <= client.identify(b"audio").seconds < 2.5

    def test_it_does_not_wait_for_ever_because_the_server_says_so(
        self, client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(identify, "LONGEST_WAIT_SECONDS", 0.1)
        server.script = [refusal(503, "overloaded", **{"Retry-After": "86400"})]
        assert client.identify(b"audio").seconds < 2

    @pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 500])
    def test_a_refusal_that_will_not_change_is_not_asked_again(
        self, client: Client, server: Server, status: int
    ) -> None:
        server.script = [refusal(status, "some_code")]
        with pytest.raises(Refused) as caught:
            client.identify(b"audio")
        assert (caught.value.status, caught.value.code) == (status, "some_code")
        assert len(server.requests) == 1

    def test_a_connection_that_breaks_is_tried_again(self, client: Client, server: Server) -> None:
        server.script = [Reply(reset=True), Reply(reset=True)]
        assert client.identify(b"audio").attempts == 3

    def test_a_connection_that_always_breaks_is_unreachable(self, client: Client, server: Server) -> None:
        server.script = [Reply(reset=True)] * 9
        with pytest.raises(Unreachable, match="cannot reach http://127"):
            client.identify(b"audio")

    def test_a_server_that_is_not_there_is_unreachable(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with (
            Client(f"http://127.0.0.1:{port}", retries=1) as client,
            pytest.raises(Unreachable, match="refused"),
        ):
            client.identify(b"audio")

    def test_a_slow_answer_is_not_asked_for_twice(self, server: Server) -> None:
        server.script = [Reply(delay=1.0)]
        with (
            Client(server.url, timeout=(2.0, 0.2)) as client,
            pytest.raises(Unreachable, match=r"within 0\.2 s"),
        ):
            client.identify(b"audio")
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "body", [b"<html>welcome</html>", b"", {"status": "ok"}, [{"label": "ann"}], [1], None]
    )
    def test_an_answer_without_labels_comes_from_another_server(
        self, client: Client, server: Server, body: Any
    ) -> None:
        server.script = [Reply(body=body)]
        with pytest.raises(BadAnswer, match="no list of labels"):
            client.identify(b"audio")

    def test_a_redirect_is_not_followed_with_somebodys_voice(self, client: Client, server: Server) -> None:
        server.script = [Reply(302, b"", {"Location": "http://127.0.0.1:1/"})]
        with pytest.raises(BadAnswer):
            client.identify(b"audio")
        assert len(server.requests) == 1

    def test_an_error_that_is_not_json_is_told_by_its_status(self, client: Client, server: Server) -> None:
        server.script = [Reply(502, b"<h1>Bad Gateway</h1>")]
        with pytest.raises(Refused, match="502 http_error"):
            client.identify(b"audio")

    def test_an_address_that_is_none_is_one_line(self) -> None:
        with Client("htp:/nonsense") as client, pytest.raises(BadAnswer) as caught:
            client.identify(b"audio")
        assert "\n" not in str(caught.value)

    def test_loopback_is_reached_past_a_proxy_from_the_environment(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert client.identify(b"audio").labels[0].label == "ann"

    def test_threads_have_connections_of_their_own(self, client: Client, server: Server) -> None:
        server.script = [Reply(delay=0.2)] * 4
        threads = [threading.Thread(target=client.identify, args=(b"audio",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_in_flight == 4

    def test_one_call_is_enough_for_one_clip(self, server: Server, tmp_path: Path) -> None:
        clip = tmp_path / "a.wav"
        clip.write_bytes(b"audio")
        assert identify.identify(clip, top_k=1, url=server.url, model="sid").labels[0].label == "ann"
        assert server.requests[0][1]["x-top-k"] == "1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.wav", "a.FLAC", "deep/c.mp3", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


class TestCommandLine:
    def run(self, server: Server, *arguments: str | Path) -> int:
        return identify.main(["--url", server.url, "--model", "sid", "--retries", "0", *map(str, arguments)])

    def test_a_folder_is_searched_for_audio_files(
        self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(server, folder, "--format", "jsonl") == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [Path(each["clip"]).name for each in found] == ["a.FLAC", "b.wav", "c.mp3"]
        assert found[0]["labels"] == GOOD

    def test_a_file_that_is_named_is_sent_whatever_it_is_called(self, server: Server, folder: Path) -> None:
        assert self.run(server, folder / "notes.txt") == 0
        assert server.requests[0][2] == b"notes.txt"

    def test_the_table_has_a_line_a_clip(
        self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(server, folder / "b.wav") == 0
        assert capsys.readouterr().out.startswith(f"{folder / 'b.wav'}: ann 0.900  bob 0.100  (")

    def test_json_is_one_document(
        self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(server, folder, "--format", "json") == 0
        assert len(json.loads(capsys.readouterr().out)) == 3

    def test_csv_has_a_row_a_label_and_one_for_a_failure(
        self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.script = [Reply(), refusal(415, "unsupported_media")]
        clips = [str(folder / "b.wav"), str(folder / "notes.txt")]
        assert self.run(server, *clips, "--format", "csv", "--concurrency", "1") == 1
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert [(row["clip"], row["rank"], row["label"], row["score"]) for row in rows] == [
            (clips[0], "1", "ann", "0.9"),
            (clips[0], "2", "bob", "0.1"),
            (clips[1], "", "", ""),
        ]
        assert rows[2]["error"] == "because of unsupported_media (415 unsupported_media)"

    def test_one_bad_clip_does_not_stop_the_others(
        self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.script = [refusal(422, "audio_too_short")]
        assert self.run(server, folder, "--format", "jsonl", "--concurrency", "1") == 1
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert found[0]["error"] == {
            "code": "audio_too_short",
            "message": "because of audio_too_short (422 audio_too_short)",
        }
        assert [each["labels"][0]["label"] for each in found[1:]] == ["ann", "ann"]

    def test_a_file_that_cannot_be_read_is_that_clips_error(
        self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "gone.wav").symlink_to(folder / "nowhere")
        names = [str(folder / "gone.wav"), str(folder / "b.wav")]
        results = list(identify.run(Client(server.url), names, 1))
        assert results[0]["error"]["code"] == "unreadable_file"
        assert "labels" in results[1]

    def test_a_server_that_is_away_ends_the_run_with_3_and_one_line(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        assert identify.main([str(folder), "--url", f"http://127.0.0.1:{port}", "--retries", "1"]) == 3
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert "cannot reach" in captured.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nowhere.wav"], "no such file or folder: nowhere.wav"),
            (["deep", "--concurrency", "0"], "--concurrency must be 1 or more"),
            (["empty"], "no audio files"),
            (["deep", "--function-to-apply", "relu"], "invalid choice"),
            ([], "audio"),
        ],
    )
    def test_wrong_usage_ends_with_2(
        self,
        folder: Path,
        arguments: list[str],
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(folder)
        (folder / "empty").mkdir()
        with pytest.raises(SystemExit) as caught:
            identify.main(arguments)
        assert caught.value.code == 2
        assert said in capsys.readouterr().err

    def test_the_token_is_taken_from_the_environment(
        self, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(identify.ENVIRONMENT_TOKEN, "s3cret")
        assert self.run(server, folder / "b.wav") == 0
        assert server.requests[0][1]["authorization"] == "Bearer s3cret"

    def test_as_many_are_in_flight_as_asked_for(self, server: Server, folder: Path) -> None:
        server.script = [Reply(delay=0.3)] * 3
        assert self.run(server, folder, "--concurrency", "2") == 0
        assert server.most_in_flight == 2

    def test_the_file_alone_is_enough_and_reads_standard_input(self, server: Server, tmp_path: Path) -> None:
        copied = tmp_path / "identify.py"
        copied.write_bytes(Path(identify.__file__).read_bytes())
        command = [sys.executable, str(copied), "-", "--url", server.url, "--format", "jsonl"]
        ran = subprocess.run(
            command, input=b"piped", stdout=subprocess.PIPE, cwd=tmp_path, check=True, timeout=30
        )
        assert json.loads(ran.stdout)["clip"] == "-"
        assert server.requests[0][2] == b"piped"
