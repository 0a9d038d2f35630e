"""Which paths stand for which, and that nothing of the gateway's own is hidden by them."""

from __future__ import annotations

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


def test_the_table_is_lua() -> None:
    options = GatewayOptions(1, health_routes=("/é",))
    said = lua_aliases("demo", options)
    assert said.startswith('ALIASES = {["GET /\\u00e9"] = "/v2/health/ready", ')
    assert said.endswith('["POST /"] = "/predictions/demo", ["PUT /"] = "/predictions/demo"}\n')
