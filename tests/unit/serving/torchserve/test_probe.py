"""The watch's question: what counts as an answer, and that nobody waits for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from serving.host.ports import LOOPBACK
from serving.model_server import Reply
from serving.torchserve.probe import Probe

JAVAS = b'{"code": 503, "type": "%s", "message": "%s"}'


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening


def replied(listener: socket.socket, answer: bytes) -> tuple[bytes, Reply]:
    """What was asked, and what the probe makes of the answer."""
    probe = Probe(LOOPBACK, listener.getsockname()[1], "/predictions/demo/1.0")
    assert probe.reply() is None
    with listener.accept()[0] as theirs:
        asked = theirs.recv(4096)
        theirs.sendall(answer)
    deadline = time.monotonic() + 600
    while (reply := probe.reply()) is None:
        assert time.monotonic() < deadline
    probe.close()
    return asked, reply


def test_it_asks_the_version_and_sends_nothing(listener: socket.socket) -> None:
    asked, reply = replied(listener, b"HTTP/1.1 200 OK\r\n\r\n{}")
    assert asked.startswith(b"POST /predictions/demo/1.0 HTTP/1.1\r\n")
    assert b"x-probe: yes\r\ncontent-length: 0\r\n" in asked
    assert reply == Reply(200, answered=True)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n{}", Reply(400, answered=True)),
        (
            b"HTTP/1.1 503 X\r\n\r\n" + JAVAS % (b"InternalServerException", b"Prediction failed"),
            Reply(503, answered=True),
        ),
        (
            b"HTTP/1.1 503 X\r\n\r\n" + JAVAS % (b"ServiceUnavailableException", b"no worker"),
            Reply(503, answered=False),
        ),
        (
            b"HTTP/1.1 507 X\r\n\r\n" + JAVAS % (b"InternalServerException", b"Worker died."),
            Reply(507, answered=False),
        ),
        (b"", Reply(0, answered=False)),
        (b"nonsense", Reply(0, answered=False)),
    ],
)
def test_only_a_workers_answer_is_one(listener: socket.socket, answer: bytes, expected: Reply) -> None:
    assert replied(listener, answer)[1] == expected


def test_nobody_there_is_an_error() -> None:
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        Probe(LOOPBACK, port, "/predictions/demo/1.0")
