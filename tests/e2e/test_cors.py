"""Pages of other origins: the named ones may ask and read every answer, whoever words it; no other may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from serving.gateway import tokens
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.host import ports
from serving.model_server import ModelServer
from tests.e2e.raw import Answer, over_http1
from tests.e2e.started import CLIPS

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

ORIGIN = "https://a.example"
AUDIO = CLIPS[0].read_bytes()
TOKEN = "abcdefghijklmnopqrstuvwxyz"  # of a test


@pytest.fixture(scope="module")
def guarded(server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    file: Path = tmp_path_factory.mktemp("tokens") / "tokens"
    file.touch(0o600)
    file.write_text(TOKEN)
    options = GatewayOptions(ports.free(1)[0], tokens=tokens.read(file), origins=(ORIGIN,))
    described = StaticFile("/openapi.json", "application/json", b"{}", public=True)
    with Gateway(server, options, response_timeout=30, static=lambda: (described,)) as running:
        running.start()
        yield running


def preflight(gateway: Gateway, origin: str, path: str = "/predictions/demo") -> requests.Response:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    return requests.options(f"{gateway.url}{path}", headers=asked, timeout=600)


def test_no_page_may_ask_unless_it_is_named(gateway: Gateway) -> None:
    headers = {"origin": ORIGIN}
    for response in (
        preflight(gateway, ORIGIN),
        requests.post(f"{gateway.url}/predictions/demo", AUDIO, headers=headers, timeout=600),
        requests.get(f"{gateway.url}/ping", headers=headers, timeout=600),
    ):
        assert [name for name in response.headers if name.lower().startswith("access-control")] == []
        assert "vary" not in response.headers


@pytest.mark.parametrize(
    "path", ["/predictions/demo", "/v1/models/demo:predict", "/v2/models/demo", "/nothing"]
)
def test_a_page_that_is_named_may(guarded: Gateway, path: str) -> None:
    response = preflight(guarded, ORIGIN, path)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, ORIGIN)
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "user-agent", "traceparent", "tracestate"} <= set(allowed)
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/predictions/demo", 200),
        ("POST", "/predictions/nobody", 404),  # worded by errors.lua
        ("GET", "/predictions/demo", 405),  # and these by health.lua
        ("GET", "/nothing", 404),
        ("GET", "/ping", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/v2/models/demo", 200),
        ("GET", "/openapi.json", 200),  # a direct response, which the cors filter ignores
        ("GET", "/openapi.json/", 200),
        ("POST", f"/predictions/{'a' * 5000}", 414),
    ],
)
def test_it_may_read_every_answer(guarded: Gateway, method: str, path: str, status: int) -> None:
    headers = {"origin": ORIGIN, "authorization": f"Bearer {TOKEN}"}
    with requests.Session() as session:
        request = requests.Request(
            method, guarded.url, headers=headers, data=AUDIO if method == "POST" else None
        )
        prepared = session.prepare_request(request)
        prepared.url = guarded.url + path  # as it is written
        response = session.send(prepared, timeout=600)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, ORIGIN)
    if path == "/openapi.json":
        return
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert {
        "server-timing",
        "x-batch-size",
        "x-request-id",
        "retry-after",
        "inference-header-content-length",
    } <= set(exposed)
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("line", "headers", "status", "allowed"),
    [
        ("GET /a%2fb", [], 400, ORIGIN),
        ("GET /a", [("cookie", "x" * 70_000)], 431, "*"),
        ("GET /a", [(f"x-{number}", "x") for number in range(120)], 431, "*"),
        ("POST /a", [("transfer-encoding", "gzip")], 400, "*"),
    ],
)
def test_so_it_may_where_envoy_refuses_before_it_knows_who_asks(
    guarded: Gateway,
    gateway: Gateway,
    line: str,
    headers: list[tuple[str, str]],
    status: int,
    allowed: str,
) -> None:
    def answer(asked: Gateway, origin: str) -> Answer:
        return over_http1(asked, f"{line} HTTP/1.1", [("host", "any"), ("origin", origin), *headers], b"")

    found = answer(guarded, ORIGIN)
    assert (found.status, found.headers.get("access-control-allow-origin")) == (status, allowed)
    others = [answer(gateway, ORIGIN)]  # of which no page may ask
    if allowed == ORIGIN:
        others.append(answer(guarded, "https://b.example"))
    for other in others:
        assert (other.status, other.body) == (status, found.body)
        assert "access-control-allow-origin" not in other.headers


def test_a_missing_token_too(guarded: Gateway) -> None:
    response = requests.post(
        f"{guarded.url}/predictions/demo", AUDIO, headers={"origin": ORIGIN}, timeout=600
    )
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (401, ORIGIN)


def test_a_cache_is_told_also_where_nobody_else_asks(guarded: Gateway) -> None:
    assert requests.get(f"{guarded.url}/ping", timeout=600).headers["vary"] == "Origin"


def test_another_page_may_not(guarded: Gateway) -> None:
    response = preflight(guarded, "https://a.example.evil.example")
    assert response.status_code == 401
    assert "access-control-allow-origin" not in response.headers
