"""What a URL's query and a body's coding say, through the gateway, on every route."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import brotli
import pytest
import requests

from serving.gateway.envoy import Gateway
from serving.model_server import ModelServer
from tests.e2e.started import CLIPS

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

AUDIO = CLIPS[0].read_bytes()
B64 = base64.b64encode(AUDIO).decode()
V2 = {"inputs": [{"name": "audio", "datatype": "BYTES", "shape": [1], "data": [B64]}]}
ROUTES: dict[str, tuple[str, bytes]] = {
    "plain": ("/predictions/demo", AUDIO),
    "version": ("/predictions/demo/2.0", AUDIO),
    "v1": ("/v1/models/demo:predict", json.dumps({"instances": [{"b64": B64}]}).encode()),
    "v2": ("/v2/models/demo/infer", json.dumps(V2).encode()),
    "v2 version": ("/v2/models/demo/versions/2.0/infer", json.dumps(V2).encode()),
}


def ask(gateway: Gateway, path: str, body: bytes, **headers: str) -> requests.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(f"{gateway.url}{path}", body, headers=given, timeout=600)


def scores(answer: Any) -> list[float]:
    """Of the one clip, whatever the form of the answer."""
    if isinstance(answer, list):
        return [entry["score"] for entry in answer]
    if "predictions" in answer:
        return scores(answer["predictions"][0])
    return next(output["data"] for output in answer["outputs"] if output["name"] == "score")


@pytest.mark.parametrize("route", ROUTES)
def test_a_query_sets_the_options_on_every_route(gateway: Gateway, route: str) -> None:
    path, body = ROUTES[route]
    found = scores(ask(gateway, f"{path}?top_k=3&function_to_apply=none", body).json())
    assert len(found) == 3
    assert max(found) > 1, "no logits"


@pytest.mark.parametrize("route", ROUTES)
def test_an_unknown_key_of_a_query_is_named(gateway: Gateway, route: str) -> None:
    path, body = ROUTES[route]
    response = ask(gateway, f"{path}?topk=3", body)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_parameter")
    assert "unknown query parameter 'topk'" in response.json()["error"]


def test_header_and_path_win_over_the_query(gateway: Gateway) -> None:
    assert len(ask(gateway, "/predictions/demo?top_k=3", AUDIO, X_Top_K="2").json()) == 2
    assert len(ask(gateway, "/predictions/demo/2.0/top_k/1?top_k=3", AUDIO, X_Top_K="2").json()) == 1


def test_a_callers_own_header_is_no_query(gateway: Gateway) -> None:
    assert len(ask(gateway, "/predictions/demo", AUDIO, X_Query="top_k=3").json()) == 5


CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": lambda it: brotli.compress(it, quality=1)}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_compressed_body_is_inflated(gateway: Gateway, route: str, coding: str) -> None:
    path, body = ROUTES[route]
    response = ask(
        gateway, path, CODINGS[coding](body), Content_Encoding=coding, Content_Type="application/json"
    )
    assert scores(response.json()) == scores(ask(gateway, path, body).json())


def test_so_is_a_compressed_form(gateway: Gateway) -> None:
    form = requests.Request("POST", gateway.url, files={"data": AUDIO}, data={"top_k": "2"}).prepare()
    assert isinstance(form.body, bytes)
    kind = str(form.headers["content-type"])
    response = ask(
        gateway, "/predictions/demo", gzip.compress(form.body), Content_Encoding="gzip", Content_Type=kind
    )
    assert len(response.json()) == 2


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_413_and_the_worker_lives(gateway: Gateway, server: ModelServer, coding: str) -> None:
    before = server.worker_pids()
    response = ask(gateway, "/predictions/demo", CODINGS[coding](bytes(200 << 20)), Content_Encoding=coding)
    assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
    assert server.worker_pids() == before


def test_another_coding_is_415_and_named(gateway: Gateway) -> None:
    response = ask(gateway, "/predictions/demo", AUDIO, Content_Encoding="zstd")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media")
    assert "'zstd'" in response.json()["error"]
