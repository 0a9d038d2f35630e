"""Which paths stand for which, and that nothing of the gateway's own is hidden by them."""

from __future__ import annotations

import argparse

import pytest

from serving.gateway import aliases
from serving.gateway.options import GatewayOptions
from serving.gateway.scripts import lua_aliases

READY, CLIP = "/v2/health/ready", "/predictions/demo"


def test_the_platforms_paths_stand_for_readiness_and_the_first_model() -> None:
    assert aliases.table("demo") == {
        "GET /health": READY,
        "HEAD /health": READY,
        "/health": READY,
        "POST /invocations": CLIP,
        "PUT /invocations": CLIP,
        "/invocations": CLIP,
        "POST /": CLIP,
        "PUT /": CLIP,
    }


def test_a_platform_may_choose_one_path_for_both() -> None:
    found = aliases.table("demo", ["/x"], ["/x"])
    assert (found["GET /x"], found["POST /x"]) == (READY, CLIP)


def test_the_root_is_shared_with_whatever_else_answers_there() -> None:
    assert "/" not in aliases.table("demo", ["/"], ["/"])
    assert aliases.table("demo", ["/"])["GET /"] == READY


@pytest.mark.parametrize("path", ["/", "/a", "/v1/endpoints/1:predict", "/.well-known/~x", "/a/", "/..a/b."])
def test_a_route_is_what_envoy_leaves_of_a_path(path: str) -> None:
    assert aliases.route(path) == (path.rstrip("/") or "/")


@pytest.mark.parametrize(
    "path", ["a", "/é", "/\u0663", "//", "//a", "/a//b", "/a/../b", "/a/..", "/.", "/a b", '/a"', "/a\n"]
)
def test_what_envoy_would_change_or_lua_cannot_read_is_no_route(path: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a path of letters"):
        aliases.route(path)


def test_the_table_is_lua() -> None:
    options = GatewayOptions(1, health_routes=("/v1:live",))
    said = lua_aliases("demo", options)
    assert said.startswith('ALIASES = {["GET /v1:live"] = "/v2/health/ready", ')
    assert said.endswith('["POST /"] = "/predictions/demo", ["PUT /"] = "/predictions/demo"}\n')
