"""The management API's client, against a socket that answers what a test says."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from serving.control import ManagementError
from serving.torchserve.control import TorchServeControl
from serving.torchserve.management import Management

ENTRY: dict[str, Any] = {
    "modelVersion": "1.0",
    "minWorkers": 2,
    "responseTimeout": 300,
    "maxBatchDelay": 50,
    "workers": [{"pid": 7, "status": "READY"}, {"pid": 8, "status": "READY"}],
    "jobQueueStatus": {"remainingCapacity": 97, "pendingRequests": 3},
}


class Answers(BaseHTTPRequestHandler):
    seen: list[str]
    status: int
    body: bytes

    def answer(self) -> None:
        self.seen.append(f"{self.command} {self.path}")
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Management, type[Answers]]]:
    answers = type("Own", (Answers,), {"seen": [], "status": 200, "body": b"{}"})
    path = tmp_path / "socket"
    with socketserver.UnixStreamServer(str(path), answers) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Management(path), answers
        listening.shutdown()
        thread.join()


def test_a_version_is_read_from_its_description(server: tuple[Management, type[Answers]]) -> None:
    management, answers = server
    answers.body = json.dumps([ENTRY]).encode()
    found = management.versions("demo")["1.0"]
    assert (found.pids, found.workers, found.wanted, found.pending) == ((7, 8), 2, 2, 3)
    assert (found.response_timeout, found.batch_delay, found.capacity) == (300, 0.05, 100)
    assert found.ready
    assert answers.seen == ["GET /models/demo/all"]


def test_the_models_are_listed_by_name(server: tuple[Management, type[Answers]]) -> None:
    management, answers = server
    answers.body = b'{"models": [{"modelName": "demo", "modelUrl": "demo.mar"}, {"modelName": "other"}]}'
    assert management.models() == ["demo", "other"]
    assert answers.seen == ["GET /models?limit=1000"]


@pytest.mark.parametrize(
    "workers",
    [
        [],
        ENTRY["workers"][:1],
        [ENTRY["workers"][0], {"pid": 8, "status": "LOADING"}],
        [*ENTRY["workers"], {"pid": 9, "status": "UNLOADING"}],
    ],
)
def test_a_version_is_ready_when_all_of_its_workers_are_and_as_many_as_are_wanted(
    server: tuple[Management, type[Answers]], workers: list[dict[str, Any]]
) -> None:
    management, answers = server
    answers.body = json.dumps([ENTRY | {"workers": workers}]).encode()
    assert not management.versions("demo")["1.0"].ready


def test_each_call_asks_what_torchserve_understands(server: tuple[Management, type[Answers]]) -> None:
    management, answers = server
    management.register("a b.mar", 5)
    management.set_default("demo", "2.0")
    management.scale("demo", "2.0", 3)
    management.unregister("demo", "1.0")
    assert answers.seen == [
        "POST /models?url=a+b.mar&synchronous=false",
        "PUT /models/demo/2.0/set-default",
        "PUT /models/demo/2.0?min_worker=3&max_worker=3",
        "DELETE /models/demo/1.0",
    ]


def test_a_versions_workers_are_ended_before_others_start_or_it_is_unloaded(
    server: tuple[Management, type[Answers]],
) -> None:
    management, answers = server
    answers.body = json.dumps([ENTRY | {"workers": []}]).encode()
    control = TorchServeControl(management.path, "http://127.0.0.1:1", Path("logs"))
    control.restart("demo", "1.0", 2)
    control.unload("demo", "1.0")
    assert answers.seen == [
        "PUT /models/demo/1.0?min_worker=0&max_worker=0",
        "PUT /models/demo/1.0?min_worker=2&max_worker=2",
        "PUT /models/demo/1.0?min_worker=0&max_worker=0",
        "GET /models/demo/all",
        "DELETE /models/demo/1.0",
    ]


def test_a_refusal_is_one_line_with_torchserves_reason(server: tuple[Management, type[Answers]]) -> None:
    management, answers = server
    answers.status, answers.body = 409, b'{"code": 409, "message": "Model version 1.0 is already registered"}'
    with pytest.raises(
        ManagementError, match=r"rejects POST /models with 409: Model version 1\.0 is already"
    ) as caught:
        management.register("demo.mar", 5)
    assert caught.value.status == 409


def test_nobody_at_the_socket_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ManagementError, match="does not answer") as caught:
        Management(tmp_path / "nobody").default("demo")
    assert caught.value.status is None
