"""Bearer tokens at the gateway, in front of a real TorchServe."""

from __future__ import annotations

import json
import shutil
import socket
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import requests

from measure.loadtest import LoadTestError, server
from measure.loadtest.target import Clip
from serving.gateway import scripts, tokens
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.torchserve.process import TorchServe

pytestmark = pytest.mark.e2e

FIRST, SECOND, THIRD = "first-token-0123456789", "second-token-0123456789", "third-token-0123456789"
PUBLIC = StaticFile("/public/page", "text/html", b"<p>\x00\xff", True, {"vary": "Accept"})
GUARDED = StaticFile("/guarded.txt", "text/plain", b"ours")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens é") / "tokens"


@pytest.fixture(scope="module")
def gateway(stub_server: TorchServe, file: Path) -> Iterator[Gateway]:
    write(file)
    options = GatewayOptions(ports.free(1)[0], tokens=tokens.read(file))
    with Gateway(stub_server, options, response_timeout=30, static=lambda: (PUBLIC, GUARDED)) as running:
        running.start()
        yield running


@pytest.fixture(autouse=True)
def two_tokens(gateway: Gateway, file: Path) -> None:
    write(file)


def write(file: Path, *tokens: str) -> None:
    draft = file.with_suffix(".new")
    draft.touch(0o600)
    draft.write_text("\n".join(["# ours", *(tokens or (FIRST, SECOND))]) + "\n")
    draft.replace(file)


def ask(gateway: Gateway, authorization: str | None, path: str = "/predictions/stub") -> requests.Response:
    headers = {"content-type": "application/octet-stream"}
    if authorization is not None:
        headers["authorization"] = authorization
    return requests.post(gateway.url + path, b"abc", headers=headers, timeout=600)


@pytest.mark.parametrize("token", [FIRST, SECOND])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_every_token_of_the_file_is_let_in(gateway: Gateway, token: str, scheme: str) -> None:
    answer = ask(gateway, f"{scheme} {token}")
    assert (answer.status_code, answer.json()[0]["bytes"]) == (200, 3)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        FIRST,
        f"Basic {FIRST}",
        f"Bearer {FIRST[:-1]}",
        f"Bearer {FIRST}x",
        f"Bearer {FIRST} {SECOND}",
        f"Bearer {FIRST * 2}",
        f"Bearer {THIRD}",
        "Bearer #",
        "Bearer # ours",
        "Bearer " + "x" * 4000,
    ],
)
def test_anybody_else_is_401_in_our_shape(gateway: Gateway, authorization: str | None) -> None:
    answer = ask(gateway, authorization)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/v1/models/stub:predict", "/v2/models/stub/infer", "/models", "/nothing"])
def test_every_path_asks_for_a_token_before_it_says_what_is_there(gateway: Gateway, path: str) -> None:
    assert ask(gateway, None, path).status_code == 401


def test_metadata_asks_too_and_probes_do_not(gateway: Gateway) -> None:
    statuses = {
        path: requests.get(gateway.url + path, timeout=600).status_code
        for path in (
            "/v2/health/live",
            "/v2/health/ready",
            "/ping",
            "/v2/models/stub",
            "/v2/models/stub/ready",
        )
    }
    assert list(statuses.values()) == [200, 200, 200, 401, 401]
    assert {path: requests.head(gateway.url + path, timeout=600).status_code for path in statuses} == statuses


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_static_file_is_answered_as_it_is(gateway: Gateway, method: str) -> None:
    answer = requests.request(method, gateway.url + PUBLIC.path, timeout=600)
    assert (answer.status_code, answer.content) == (200, PUBLIC.body if method == "GET" else b"")
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("text/html", "Accept")
    assert answer.headers["content-length"] == str(len(PUBLIC.body))


def test_one_that_a_cache_has_is_not_sent_again(gateway: Gateway) -> None:
    first = requests.get(gateway.url + PUBLIC.path, timeout=600)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known, status in ((tag, 304), (f'W/{tag}, "other"', 304), ("*", 304), ('"other"', 200)):
        again = requests.get(gateway.url + PUBLIC.path, headers={"if-none-match": known}, timeout=600)
        assert (again.status_code, again.headers["etag"]) == (status, tag)
        assert again.content == (PUBLIC.body if status == 200 else b"")


def test_one_that_is_not_public_asks_for_a_token(gateway: Gateway) -> None:
    sent = {"authorization": f"Bearer {FIRST}"}
    assert requests.get(gateway.url + GUARDED.path, timeout=600).status_code == 401
    assert requests.get(gateway.url + GUARDED.path, headers=sent, timeout=600).content == GUARDED.body


def test_nothing_is_sent_to_a_static_file(gateway: Gateway) -> None:
    sent = {"authorization": f"Bearer {FIRST}"}
    posted = requests.post(gateway.url + PUBLIC.path, b"abc", headers=sent, timeout=600)
    with_body = requests.request("GET", gateway.url + PUBLIC.path, data=b"abc", headers=sent, timeout=600)
    assert [(answer.status_code, answer.json()["code"]) for answer in (posted, with_body)] == [
        (405, "method_not_allowed"),
        (413, "request_too_large"),
    ]


def test_a_caller_cannot_pose_as_answered(gateway: Gateway) -> None:
    answer = requests.post(
        f"{gateway.url}/predictions/stub", b"abc", headers={"x-answered-in-lua": "yes"}, timeout=600
    )
    assert answer.status_code == 401


def test_a_replaced_file_holds_from_the_next_request_on(gateway: Gateway, file: Path) -> None:
    assert ask(gateway, f"Bearer {THIRD}").status_code == 401
    write(file, SECOND, THIRD)
    assert [ask(gateway, f"Bearer {token}").status_code for token in (FIRST, SECOND, THIRD)] == [
        401,
        200,
        200,
    ]


def test_without_its_file_it_lets_nobody_in(gateway: Gateway, file: Path) -> None:
    file.unlink()
    assert ask(gateway, f"Bearer {FIRST}").status_code == 401
    assert "no usable token" in tokens.fault(file)


def test_with_a_folder_in_its_place_it_lets_nobody_in(gateway: Gateway, file: Path) -> None:
    """A script of the gateway's that fails would let everybody in."""
    file.unlink()
    file.mkdir()
    try:
        assert ask(gateway, f"Bearer {FIRST}").status_code == 401
        assert "no usable token" in tokens.fault(file)
    finally:
        file.rmdir()


def test_a_request_without_a_path_is_not_let_in(gateway: Gateway) -> None:
    with socket.create_connection((LOOPBACK, gateway.port), 10) as sock:
        sock.sendall(b"CONNECT any:1 HTTP/1.1\r\nhost: any\r\n\r\n")
        assert sock.recv(4096).split()[1] == b"405"


def test_a_token_too_short_to_be_one_lets_nobody_in(gateway: Gateway, file: Path) -> None:
    write(file, "short")
    assert ask(gateway, "Bearer short").status_code == 401
    assert "no usable token" in tokens.fault(file)


def test_the_token_goes_no_further(gateway: Gateway, stub_server: TorchServe) -> None:
    assert ask(gateway, f"Bearer {FIRST}").status_code == 200
    written = [log.read_text("utf-8", "replace") for log in stub_server.run.rglob("*.log")]
    assert written
    assert not any(FIRST in text for text in written)


def test_grpc_is_refused_as_grpc_says_it(gateway: Gateway) -> None:
    with grpc.insecure_channel(f"{LOOPBACK}:{gateway.port}") as channel:
        call = channel.unary_unary("/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", timeout=600)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert json.loads(caught.value.details())["code"] == "unauthorized"


def test_grpc_health_needs_a_token_where_a_model_is_named(gateway: Gateway) -> None:
    stub, mine = b"\x0a\x04stub", (("authorization", f"Bearer {FIRST}"),)
    with grpc.insecure_channel(f"{LOOPBACK}:{gateway.port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=600) == check(stub, timeout=600, metadata=mine) == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as caught:
            check(stub, timeout=600)
        with pytest.raises(grpc.RpcError) as watched:
            channel.unary_unary("/grpc.health.v1.Health/Watch")(b"", timeout=600)
    for refused in (caught, watched):
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_load_test_brings_its_token_over_grpc_too(gateway: Gateway) -> None:
    clip = Clip("a.wav", Path(__file__), 1.0, "audio/wav")
    options = Namespace(form="grpc", token=FIRST, timeout=600)
    (target,) = server.targets(gateway.url, ["stub"], options)
    server.check([target], clip)
    with pytest.raises(LoadTestError, match="grpc_unauthenticated"):
        server.check([replace(target, headers={})], clip)


def test_a_script_that_fails_lets_nothing_pass(
    stub_server: TorchServe, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts_with_a_bug = shutil.copytree(
        scripts.SHIPPED, tmp_path / "scripts", ignore=shutil.ignore_patterns("page")
    )
    script = scripts_with_a_bug / scripts.TOKENS
    start = "function envoy_on_request(handle)\n"
    script.write_text(script.read_text().replace(start, start + "  handle:headers():get({})\n"))
    monkeypatch.setattr(scripts, "SHIPPED", scripts_with_a_bug)
    options = GatewayOptions(ports.free(1)[0], tokens=tokens.read(file))
    with Gateway(stub_server, options, response_timeout=30) as running:
        running.start()
        answer = ask(running, f"Bearer {FIRST}")
        assert (answer.status_code, answer.json()["code"]) == (500, "gateway_error")
        with grpc.insecure_channel(f"{LOOPBACK}:{running.port}") as channel:
            call = channel.unary_unary("/grpc.health.v1.Health/Check")
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=600)
        assert refused.value.code() is grpc.StatusCode.UNKNOWN
        assert "gateway_error" in refused.value.details()
