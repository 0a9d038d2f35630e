"""The gateway's form, as probes and roll-outs read it."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from serving.host.local_http import Answer
from serving.triton import forms
from serving.triton.probe import Probe
from tests.waiting import wait_until

ELEMENT = b'415 Unsupported Media Type\nX-Model-Name: demo\n\n{"error": "no"}'
TEXT = json.dumps({"outputs": [{"name": "answer"}]}).encode()


def wrapped(element: bytes) -> Answer:
    body = TEXT + len(element).to_bytes(4, "little") + element
    return Answer(200, {forms.LENGTH: str(len(TEXT))}, body)


def test_an_answer_has_the_status_headers_and_body_of_the_adapter() -> None:
    found = forms.restored(wrapped(ELEMENT))
    assert (found.status, dict(found.headers), found.body) == (
        415,
        {"x-model-name": "demo"},
        b'{"error": "no"}',
    )


def test_what_triton_answers_itself_is_left() -> None:
    own = Answer(404, {}, b'{"error": "Request for unknown model"}')
    assert forms.restored(own) is own


@pytest.mark.parametrize(
    ("version", "path"), [(None, "/v2/models/a.http/infer"), ("2.0", "/v2/models/a.http.2.0/infer")]
)
def test_a_version_has_an_entrance_of_its_own(version: str | None, path: str) -> None:
    assert forms.path("a", version) == path


@pytest.mark.parametrize(
    ("status", "answered"), [("200 OK", True), ("500 Internal Server Error", False), ("404 Not Found", False)]
)
def test_a_probe_counts_only_what_a_worker_answers(status: str, answered: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        received: list[bytes] = []

        def serve() -> None:
            connection, _ = listening.accept()
            received.append(connection.recv(4096))
            connection.sendall(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        probe = Probe(listening.getsockname()[1], "demo", "1.0")
        wait_until(lambda: probe.reply() is not None)
        reply = probe.reply()
        probe.close()
        thread.join()
    assert reply is not None
    assert reply.answered == answered
    assert received[0].startswith(b"POST /v2/models/demo.http.1.0/infer HTTP/1.1\r\n")
    assert b"x-probe: yes" in received[0]
