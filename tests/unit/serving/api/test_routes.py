"""What the gateway's script and template route stands in the description; the e2e test of it asks a gateway."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bundle import sources
from serving.api.paths import CLIPS, OF_THE_PAGE, QUESTIONS
from serving.gateway import aliases
from serving.gateway.configuration import FOLDER
from serving.gateway.options import GatewayOptions
from serving.metrics.access_log import _HEALTH
from serving.service import Service
from tests.unit.serving.gateway.configured import connection_manager, rendered

HEALTH = re.sub(r"--.*", "", (FOLDER / "health.lua").read_text("utf-8"))
CLASSES = {"%w": "a-zA-Z0-9", "%d": "0-9", "%.": r"\."}  # of Lua's patterns, what a path is written with
DEMO = sources.resolve("demo", root=Path(__file__).resolve().parents[4] / "models")
VALUES = {
    "model": DEMO.name,
    "version": DEMO.version,
    "top_k": "3",
    "function_to_apply": "none",
    "clip": "NAME",
}
DESCRIBED = {each.path.format(**VALUES) for each in (*CLIPS, *QUESTIONS, *OF_THE_PAGE)}
GRPC = "/org.pytorch.serve.grpc."  # OpenAPI describes no gRPC; its text names the service

# paths, patterns of paths, and pieces that are compared with a part of one, such as "/ready"
PIECES = sorted(
    text
    for text in set(re.findall(r'"([^"\n]*)"', HEALTH))
    if re.match(r"\^?/", text) and not text.startswith(GRPC)
)
ROUTED = [
    match["match"]["safe_regex"]["regex"]
    for host in connection_manager(rendered(GatewayOptions(8080)))["route_config"]["virtual_hosts"]
    for match in host["routes"]
    if "safe_regex" in match["match"] and "grpc" not in match["match"]
]


def is_part(piece: str, path: str) -> bool:
    """Whether a path has what the script compares one with."""
    if piece.startswith("^"):
        for lua, python in CLASSES.items():
            piece = piece.replace(lua, python)
        return re.search(piece.removeprefix("^"), path) is not None
    return piece in path if piece.endswith("/") else path.endswith(piece)


def test_the_paths_are_found_in_script_and_template() -> None:
    assert {"/ping", "/v2/health/live", "/ready", "^/v2/models/[%w._-]+/infer$"} <= set(PIECES)
    assert "/v2/models/[^/:]+(/versions/[^/:]+)?/infer" in ROUTED
    assert not is_part("/ready", "/v2/models/demo/ready/more")
    assert not is_part("^/v2/models/[%w._-]+/infer$", "/v2/models/demo/infer/more")


@pytest.mark.parametrize("piece", PIECES)
def test_whatever_the_script_answers_or_lets_pass_is_described(piece: str) -> None:
    assert [path for path in DESCRIBED if is_part(piece, path)], f"{piece}: add it to serving/api/paths.py"


@pytest.mark.parametrize("regex", ROUTED)
def test_whatever_is_routed_elsewhere_is_described(regex: str) -> None:
    assert [path for path in DESCRIBED if re.fullmatch(regex, path)], (
        f"{regex}: add it to serving/api/paths.py"
    )


def test_so_is_every_file_that_a_server_answers_with(tmp_path: Path) -> None:
    service = Service([DEMO], tmp_path, tmp_path, GatewayOptions(8080))
    files = {re.sub("(/samples/demo/).*", r"\1NAME", file.path) for file in service.gateway.static()}
    assert {"/openapi.json", "/page", "/samples/demo/NAME"} <= files <= DESCRIBED


def test_a_question_is_counted_as_no_request_and_a_clip_is() -> None:
    table = aliases.table("demo")

    def counted(method: str, path: str) -> bool:
        path = path.format(**VALUES)
        return not _HEALTH.fullmatch(table.get(f"{method} {path}", path))

    assert [each.path for each in CLIPS if not counted("POST", each.path)] == []
    assert [each.path for each in QUESTIONS if counted("GET", each.path)] == []


def test_every_path_that_stands_for_another_is_described() -> None:
    for asked, instead in aliases.table("demo").items():
        method, _, path = asked.rpartition(" ")
        group = {"POST": CLIPS, "PUT": CLIPS, "GET": QUESTIONS, "HEAD": QUESTIONS}.get(
            method, (*CLIPS, *QUESTIONS)
        )
        assert {path, instead} <= {each.path.format(**VALUES) for each in group}
