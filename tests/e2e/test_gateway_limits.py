"""What one caller, or all of them, cannot take of the gateway: slow, large, many; and which web pages may ask."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, RemoteSettingsChanged
from h2.settings import SettingCodes

from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions, Limits
from serving.host import local_http, ports
from serving.host.ports import LOOPBACK
from serving.torchserve.process import TorchServe

pytestmark = pytest.mark.e2e

CONNECTIONS = 40
ORIGIN = "https://a.example"


@pytest.fixture(scope="module")
def gateway(stub_server: TorchServe) -> Iterator[Gateway]:
    """One whose limits are near enough for a test, and which lets the pages of ORIGIN ask."""
    limits = Limits(headers_seconds=1, upload_seconds=3, idle_timeout=1)
    options = GatewayOptions(ports.free(1)[0], origins=(ORIGIN,), limits=limits)
    with Gateway(stub_server, options, response_timeout=30) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def narrow(stub_server: TorchServe) -> Iterator[Gateway]:
    """One with little memory and few connections, and its usual patience."""
    limits = Limits(connections=CONNECTIONS, heap_bytes=64 << 20)
    with Gateway(
        stub_server, GatewayOptions(ports.free(1)[0], limits=limits), response_timeout=30
    ) as running:
        running.start()
        yield running


@contextlib.contextmanager
def connected(gateway: Gateway) -> Iterator[socket.socket]:
    with socket.create_connection((LOOPBACK, gateway.port), 20) as sock:
        yield sock


def answer(sock: socket.socket) -> tuple[int, str, bool]:
    """Status and error code of what comes, which must have our shape, and whether the connection is closed then."""
    received = b""
    while (head := received.partition(b"\r\n\r\n"))[1] == b"" or len(head[2]) < length(head[0]):
        more = sock.recv(65536)
        assert more, received
        received += more
    body = json.loads(head[2])
    assert set(body) == {"error", "code"}
    return int(received.split()[1]), body["code"], sock.recv(1) == b""


def length(head: bytes) -> int:
    (line,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(line.split(b":")[1])


def ask(gateway: Gateway) -> requests.Response:
    return requests.post(f"{gateway.url}/predictions/stub", b"abc", timeout=600)


def well(gateway: Gateway) -> bool:
    return ask(gateway).status_code == 200


def wait_until_well(gateway: Gateway) -> None:
    deadline = time.monotonic() + 600
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if well(gateway):
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


class TestSlow:
    def test_headers_that_come_byte_by_byte_are_cut_off(self, gateway: Gateway) -> None:
        began = time.monotonic()
        with connected(gateway) as sock:
            sock.settimeout(0.1)
            received = b""
            for byte in b"POST /predictions/stub HTTP/1.1\r\nhost: any\r\nx-slow: " + b"a" * 200:
                sock.sendall(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    received = sock.recv(4096)
                    break
        assert time.monotonic() - began > 0.9
        stat = "http.public.downstream_rq_header_timeout"  # and not what upload_seconds ends
        assert int(gateway.stats(f"/stats?filter=^{stat}$").rsplit(":", 1)[1]) >= 1
        assert received.startswith(b"HTTP/1.1 408 ")
        body = json.loads(received.partition(b"\r\n\r\n")[2])
        assert body == {
            "error": "the request was not received whole within 3 s, or its headers within 1 s",
            "code": "upload_timeout",
        }

    def test_a_body_that_stalls_is_cut_off(self, gateway: Gateway) -> None:
        began = time.monotonic()
        with connected(gateway) as sock:
            sock.sendall(b"POST /predictions/stub HTTP/1.1\r\nhost: any\r\ncontent-length: 1000\r\n\r\nabc")
            assert answer(sock) == (408, "upload_timeout", True)
        assert time.monotonic() - began > 2.9

    def test_a_connection_that_asks_for_nothing_is_closed(self, gateway: Gateway) -> None:
        began = time.monotonic()
        with connected(gateway) as sock:
            assert sock.recv(1) == b""
        assert time.monotonic() - began > 0.9


class TestLarge:
    @pytest.mark.parametrize(
        "request_text",
        [
            "GET /v2 HTTP/1.1\r\nhost: any\r\nx-huge: " + "a" * 100_000 + "\r\n\r\n",
            "GET /v2 HTTP/1.1\r\nhost: any\r\n" + "x-many: a\r\n" * 1000 + "\r\n",
            "GET /v2?" + "a" * 100_000 + " HTTP/1.1\r\nhost: any\r\n\r\n",
        ],
        ids=["one header", "a thousand headers", "path"],
    )
    def test_huge_headers_are_431(self, gateway: Gateway, request_text: str) -> None:
        with connected(gateway) as sock:
            with contextlib.suppress(ConnectionError):  # it answers before the end
                sock.sendall(request_text.encode())
            assert answer(sock)[:2] == (431, "headers_too_large")
        assert well(gateway)

    def test_bodies_that_together_are_too_much_for_memory_are_503_and_then_all_is_well(
        self, narrow: Gateway
    ) -> None:
        head = b"POST /predictions/stub HTTP/1.1\r\nhost: any\r\ncontent-length: 33000000\r\n\r\n"
        with contextlib.ExitStack() as stack:
            for _ in range(3):  # 90 MB
                sock = stack.enter_context(connected(narrow))
                with contextlib.suppress(ConnectionError):
                    sock.sendall(head + bytes(30_000_000))
            deadline = time.monotonic() + 600  # memory is looked at four times a second
            while (response := ask(narrow)).status_code == 200 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert (response.status_code, response.json()["code"]) == (503, "unavailable")
            assert response.headers["retry-after"] == "1"
        wait_until_well(narrow)


class TestMany:
    def test_idle_connections_are_bounded_and_those_beyond_are_closed_at_once(self, narrow: Gateway) -> None:
        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(connected(narrow)) for _ in range(2 * CONNECTIONS)]
            # which of them are beyond is not said: Envoy's threads accept them in an order of their own
            while len(waiting) > CONNECTIONS:
                readable, _, _ = select.select(waiting, [], [], 20)
                assert readable, f"{len(waiting)} connections stay open"
                for sock in readable:
                    with contextlib.suppress(ConnectionError):
                        assert sock.recv(1) == b""
                    waiting.remove(sock)
            assert len(waiting) == CONNECTIONS
            assert not select.select(waiting, [], [], 0.1)[0]
        wait_until_well(narrow)

    def test_http_2_has_limits(self, gateway: Gateway) -> None:
        assert settings(gateway) == {
            SettingCodes.MAX_CONCURRENT_STREAMS: 100,
            SettingCodes.INITIAL_WINDOW_SIZE: 262_144,
        }

    def test_requests_taken_back_at_once_close_the_connection(self, gateway: Gateway) -> None:
        """HTTP/2's rapid reset, CVE-2023-44487: it costs the sender nothing, and the server a request each."""
        connection = H2Connection(H2Configuration())
        connection.initiate_connection()
        with connected(gateway) as sock:
            sent, ended = 0, False
            with contextlib.suppress(ConnectionError):
                while not ended and sent < 2000:
                    for stream in range(2 * sent + 1, 2 * sent + 21, 2):
                        connection.send_headers(stream, head("/predictions/stub"))
                        connection.reset_stream(stream)
                    sent += 10
                    sock.sendall(connection.data_to_send())
                    sock.settimeout(0.02)
                    with contextlib.suppress(TimeoutError):
                        received = sock.recv(65536)
                        events = connection.receive_data(received)
                        ended = not received or any(isinstance(e, ConnectionTerminated) for e in events)
        assert ended or sent < 2000
        assert taken_back(gateway) == 1
        assert well(gateway)


def taken_back(gateway: Gateway) -> int:
    """How many connections the gateway has closed for that."""
    name = "http.public.downstream_rq_too_many_premature_resets"
    assert gateway.folder
    stats = local_http.ask(local_http.unix(gateway.folder / "admin"), "GET", f"/stats?filter={name}").body
    return int(stats.rsplit(b":", 1)[1])


def head(path: str) -> list[tuple[str, str]]:
    return [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "any")]


def settings(gateway: Gateway) -> dict[Any, int]:
    """What the gateway says about itself when HTTP/2 begins."""
    connection = H2Connection(H2Configuration())
    connection.initiate_connection()
    with connected(gateway) as sock:
        sock.sendall(connection.data_to_send())
        while True:
            for event in connection.receive_data(sock.recv(65536)):
                if isinstance(event, RemoteSettingsChanged):
                    wanted = (SettingCodes.MAX_CONCURRENT_STREAMS, SettingCodes.INITIAL_WINDOW_SIZE)
                    return {code: event.changed_settings[code].new_value for code in wanted}
