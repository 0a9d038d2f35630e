"""TLS and HTTP/2 at the gateway, in front of a real TorchServe."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from serving.gateway import tls
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.leash import Leashed
from serving.host.ports import LOOPBACK
from serving.torchserve.process import TorchServe
from tests.certificates import issue
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

STUB = str(Path(__file__).with_name("serve_stub.py"))
CLIENT = str(Path(__file__).resolve().parents[2] / "clients" / "identify.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cert, é")


@pytest.fixture(scope="module")
def authority(folder: Path) -> trustme.CA:
    return issue(folder)


@pytest.fixture(scope="module")
def gateway(stub_server: TorchServe, folder: Path, authority: trustme.CA) -> Iterator[Gateway]:
    with Gateway(
        stub_server, GatewayOptions(ports.free(1)[0], certificate=tls.read(folder)), response_timeout=30
    ) as running:
        running.start()
        yield running


@pytest.fixture
def trusted(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextlib.contextmanager
def connected(gateway: Gateway, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    raw = socket.create_connection((LOOPBACK, gateway.port), 10)
    with raw, context.wrap_socket(raw, server_hostname=LOOPBACK) as encrypted:
        yield encrypted


def post_over_http2(sock: socket.socket, body: bytes, **headers: str) -> tuple[str, Any]:
    """One request as a client speaks HTTP/2 that knows its peer does: status and JSON of the answer."""
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    given = {":method": "POST", ":path": "/predictions/stub", ":scheme": "https", ":authority": "any"}
    connection.send_headers(1, list({**given, "content-type": "application/octet-stream", **headers}.items()))
    connection.send_data(1, body, end_stream=True)
    sock.sendall(connection.data_to_send())
    status, content = "", b""
    while True:
        received = sock.recv(65536)
        assert received, "closed before the answer was whole"
        for event in connection.receive_data(received):
            if isinstance(event, ResponseReceived):
                status = dict(event.headers)[":status"]
            elif isinstance(event, DataReceived):
                content += event.data
            elif isinstance(event, StreamEnded):
                return status, json.loads(content)
        sock.sendall(connection.data_to_send())


def test_http_1_is_served_to_whoever_trusts_the_authority(gateway: Gateway, folder: Path) -> None:
    answer = requests.post(
        f"{gateway.url}/predictions/stub", b"abc", verify=str(folder / "ca.crt"), timeout=600
    )
    assert gateway.url.startswith("https://")
    assert answer.json()[0]["bytes"] == 3
    with pytest.raises(requests.exceptions.SSLError):
        requests.post(f"{gateway.url}/predictions/stub", b"abc", timeout=600)


def test_http_2_is_agreed_upon_by_alpn(gateway: Gateway, trusted: ssl.SSLContext) -> None:
    trusted.set_alpn_protocols(["h2", "http/1.1"])
    with connected(gateway, trusted) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        status, body = post_over_http2(sock, b"abcd")
    assert (status, body[0]["bytes"]) == ("200", 4)


def test_without_tls_http_2_is_spoken_to_whoever_begins_with_it(stub_gateway: Gateway) -> None:
    with socket.create_connection((LOOPBACK, stub_gateway.port), 10) as sock:
        status, body = post_over_http2(sock, b"abcd")
    assert (status, body[0]["bytes"]) == ("200", 4)


def test_grpc_is_served_over_tls(gateway: Gateway, folder: Path) -> None:
    trusted = grpc.ssl_channel_credentials((folder / "ca.crt").read_bytes())
    with grpc.secure_channel(f"{LOOPBACK}:{gateway.port}", trusted) as channel:
        call = channel.unary_unary("/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions")
        assert b'"bytes": 3' in call(b"\x0a\x04stub\x1a\x0b\x0a\x04data\x12\x03abc", timeout=600)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda v: v.name)
def test_tls_1_2_and_1_3_are_spoken(
    gateway: Gateway, trusted: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    trusted.minimum_version = trusted.maximum_version = version
    with connected(gateway, trusted) as sock:
        cipher, *_ = sock.cipher() or ("",)
    assert cipher.startswith("ECDHE" if version is ssl.TLSVersion.TLSv1_2 else "TLS_")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_not(gateway: Gateway, trusted: ssl.SSLContext) -> None:
    trusted.set_ciphers("ALL:@SECLEVEL=0")
    trusted.minimum_version = trusted.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"), connected(gateway, trusted):
        pass


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"])
def test_ciphers_without_forward_secrecy_or_authentication_are_not(
    gateway: Gateway, trusted: ssl.SSLContext, cipher: str
) -> None:
    trusted.maximum_version = ssl.TLSVersion.TLSv1_2
    trusted.set_ciphers(cipher)
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"), connected(gateway, trusted):
        pass


def test_plain_http_gets_no_answer(gateway: Gateway) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{LOOPBACK}:{gateway.port}/v2", timeout=600)


def shown(gateway: Gateway) -> str:
    """SHA-256 of the certificate that a new connection is shown."""
    pem = ssl.get_server_certificate((LOOPBACK, gateway.port), timeout=600)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def test_renamed_files_are_shown_to_new_connections_and_open_ones_go_on(
    gateway: Gateway, folder: Path, authority: trustme.CA, trusted: ssl.SSLContext
) -> None:
    before = shown(gateway)
    issue(folder, authority=authority, suffix=".new")
    with connected(gateway, trusted) as sock:
        ask = b"GET /v2 HTTP/1.1\r\nhost: any\r\n\r\n"
        sock.sendall(ask)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        (folder / "tls.crt.new").replace(folder / "tls.crt")
        assert shown(gateway) == before  # the key does not belong to it yet
        (folder / "tls.key.new").replace(folder / "tls.key")
        wait_until(lambda: shown(gateway) != before)
        sock.sendall(ask)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")


def test_kubernetes_way_of_replacing_them_is_seen(stub_server: TorchServe, tmp_path: Path) -> None:
    """A mounted secret's files are links through `..data`, and that link alone is renamed."""
    mounted = tmp_path / "mounted"
    for number in ("1", "2"):
        issue(mounted / f"..{number}")
    (mounted / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key"):
        (mounted / name).symlink_to(f"..data/{name}")
    with Gateway(
        stub_server, GatewayOptions(ports.free(1)[0], certificate=tls.read(mounted)), response_timeout=30
    ) as gateway:
        gateway.start()
        before = shown(gateway)
        (mounted / "..data_tmp").symlink_to("..2")
        (mounted / "..data_tmp").replace(mounted / "..data")
        wait_until(lambda: shown(gateway) != before)


def test_make_serve_shows_a_request_that_works_and_the_client_finds_the_server(
    checkout: Path,
    run: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issue(checkout / "my cert")
    port = ports.free(1)[0]
    command = [sys.executable, STUB, "--port", str(port), "--tls", "my cert"]
    with (tmp_path / "said").open("wb") as said:
        serve = Leashed(command, cwd=checkout, stdout=said, stderr=said)
    try:
        wait_until(lambda: "ready: " in (tmp_path / "said").read_text() or serve.poll() is not None)
        text = (tmp_path / "said").read_text()
        (line,) = [line for line in text.splitlines() if line.startswith("  curl")]
        curl = subprocess.run(line, shell=True, cwd=checkout, capture_output=True, text=True, timeout=600)
        assert json.loads(curl.stdout)[0]["label"] == "stub"
        authority = checkout / "my cert" / "ca.crt"
        clip = checkout / "clip.wav"
        clip.write_bytes(b"RIFF")
        told = run("-m", "serving.identify", "--", str(clip))
        assert (
            told.stderr.splitlines()[0]
            == f"identify: asking stub at https://{LOOPBACK}:{port}, which runs here"
        )
        assert (told.returncode, "stub 1.000" in told.stdout) == (0, True)
        options = ["--url", f"https://{LOOPBACK}:{port}", "--model", "stub", str(clip)]
        answer = run(CLIENT, *options, "--cacert", str(authority))
        assert answer.returncode == 0
        assert "stub 1.000" in answer.stdout
        distrusting = run(CLIENT, *options)
        assert distrusting.returncode == 3
        assert "its certificate is not trusted: unable to get local issuer" in distrusting.stderr
        monkeypatch.setenv(
            "REQUESTS_CA_BUNDLE", str(authority)
        )  # which `requests` forgets where it asks no proxy
        assert run(CLIENT, *options).returncode == 0
    finally:
        os.kill(serve.pid, signal.SIGTERM)
        assert serve.wait(600) == 0
        serve.release()


def test_a_certificate_that_cannot_be_used_is_one_line_before_anything_starts(
    run: Callable[..., subprocess.CompletedProcess[str]], checkout: Path
) -> None:
    refused = run(STUB, "--port", str(ports.free(1)[0]), "--tls", "nothing")
    folder = checkout / "nothing"
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"serve: TLS={folder} has no tls.crt: it must hold tls.crt and tls.key, PEM\n"
