"""A peer's server: ready once it answers, in words why it never will, and gone with all it started."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from measure import Unavailable
from measure.compare import servers
from measure.compare.servers import Launch, Peer, launch
from measure.compare.usual import Setup
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target, encode
from serving.host import ports, processes
from serving.triton.installation import Installation

SERVER = """
import http.server, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
class Stub(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_POST(self):
        Stub.asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(STATUS if Stub.asked < 3 else 200)
        self.end_headers()
        self.wfile.write(b"said why")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PEER_PORT"])), Stub).serve_forever()
"""


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    return Clip("a.wav", tmp_path / "a.wav", 3.0, "audio/wav")


def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> Peer:
    monkeypatch.setattr(servers, "launch", lambda *_: Launch(("-c", code), "/identify"))
    setup = Setup(tmp_path, 1, 2, 1, ports.free(1)[0])
    return Peer("stub", Path(sys.executable), setup, tmp_path / "run")


def test_it_is_ready_once_it_answers_and_stopping_ends_what_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip: Clip
) -> None:
    server = peer(monkeypatch, tmp_path, SERVER.replace("STATUS", "503"))
    try:
        server.start(clip)
        running = server.processes()
        assert len(running) == 3  # its child, and the shell that would end both with this process
    finally:
        server.stop()
    assert all(processes.status(process.pid) in processes.ENDED for process in running)
    assert not ports.is_taken(server.setup.port)


def test_a_server_that_refuses_the_clip_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip: Clip
) -> None:
    server = peer(monkeypatch, tmp_path, SERVER.replace("STATUS", "422"))
    try:
        with pytest.raises(Unavailable, match="does not answer a clip: 422: said why"):
            server.start(clip)
    finally:
        server.stop()


def test_a_server_that_ends_is_reported_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip: Clip
) -> None:
    server = peer(monkeypatch, tmp_path, "raise SystemExit('no such model')")
    try:
        with pytest.raises(Unavailable, match=r"ended while starting: no such model \(log: .*server.log\)"):
            server.start(clip)
    finally:
        server.stop()


def test_a_peer_sees_neither_our_python_path_nor_a_preloaded_allocator_and_sends_no_telemetry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "libjemalloc.so")
    monkeypatch.setenv("PYTHONPATH", "handler")
    seen = peer(monkeypatch, tmp_path, "").environment()
    assert "LD_PRELOAD" not in seen
    assert seen["PYTHONPATH"] == str(servers.ROOT)
    assert (seen["RAY_USAGE_STATS_ENABLED"], seen["BENTOML_DO_NOT_TRACK"]) == ("0", "True")
    assert seen["OMP_NUM_THREADS"] == "1"


def test_mlserver_listens_on_loopback_and_batches_only_where_asked(tmp_path: Path) -> None:
    for batch in (1, 8):
        launch("mlserver", Setup(tmp_path, batch, 2, 1, 12345), tmp_path)
        settings = json.loads((tmp_path / "settings.json").read_text())
        assert (settings["host"], settings["http_port"], settings["parallel_workers"]) == (
            "127.0.0.1",
            12345,
            2,
        )
        assert json.loads((tmp_path / "model-settings.json").read_text()).get("max_batch_size", 1) == batch


def test_triton_listens_on_loopback_and_batches_only_where_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = Installation(tmp_path / "tritonserver", tmp_path / "backends", {"PATH": "of-its-own"})
    monkeypatch.setattr(servers.model_servers, "tritonserver", lambda: found)
    for batch in (1, 8):
        launched = launch("triton", Setup(tmp_path, batch, 2, 1, 12345), tmp_path)
        assert {"--http-address=127.0.0.1", "--http-port=12345"} < set(launched.arguments)
        assert {f"--allow-{name}=false" for name in ("grpc", "metrics", "sagemaker", "vertex-ai")} < set(
            launched.arguments
        )
        assert launched.environment == {"PATH": "of-its-own"}
        config = (tmp_path / "models" / "speaker" / "config.pbtxt").read_text()
        assert f"max_batch_size: {batch}\n" in config
        assert "instance_group [{count: 2, kind: KIND_CPU}]" in config
        assert ("dynamic_batching" in config) == (batch > 1)
    assert (tmp_path / "models" / "speaker" / "1" / "measure" / "compare" / "usual.py").is_file()


@pytest.mark.parametrize("name", ["litserve", "ray", "fastapi"])
def test_a_peer_that_is_a_module_of_ours_is_started_by_a_name_that_exists(name: str, tmp_path: Path) -> None:
    module = launch(name, Setup(tmp_path, 8, 1, 2, 12345), tmp_path).arguments[1]
    assert (servers.ROOT / f"{module.replace('.', '/')}.py").is_file()


@pytest.mark.parametrize("name", ["litserve", "ray", "bentoml", "fastapi", "mlserver"])
def test_every_peer_is_spoken_to_in_a_form_that_the_load_generator_knows(
    name: str, tmp_path: Path, clip: Clip
) -> None:
    launched = launch(name, Setup(tmp_path, 8, 1, 2, 12345), tmp_path)
    body, _ = encode(Target("http://127.0.0.1:1", launched.form), clip, b"RIFF")
    assert b"RIFF" in body or b"UklGRg==" in body
