"""The list of the gateway's errors is what its configuration and scripts answer with."""

from __future__ import annotations

import re
from pathlib import Path

from serving.gateway.codes import GATEWAY_ERRORS, GRPC_STATUSES
from serving.gateway.scripts import lua_grpc_statuses

GATEWAY = Path(__file__).resolve().parents[4] / "serving" / "gateway"
WORDED = re.compile(
    r'^ +code: ([a-z_]+)$|(?:code = |(?:fail|refuse)\(handle, "?\d+"?, |return )"([a-z_]+)"'
    r'|\\?"code\\?": \\?"([a-z_]+)\\?"',
    re.MULTILINE,
)


def test_every_code_is_listed_and_no_other() -> None:
    files = [path for path in GATEWAY.iterdir() if path.suffix not in ("", ".py")]
    files += GATEWAY.parent.glob("*/gateway.lua")  # the model servers' parts
    found = {
        code
        for path in files
        for groups in WORDED.findall(path.read_text("utf-8"))
        for code in groups
        if code
    }
    assert found == {error.code for error in GATEWAY_ERRORS}


def test_errors_lua_gets_the_number_of_each_grpc_status() -> None:
    assert {error.grpc for error in GATEWAY_ERRORS} == {*GRPC_STATUSES, ""}
    named = dict(re.findall(r'(\w+) = "(\d+)"', lua_grpc_statuses()))
    assert named == {error.code: str(GRPC_STATUSES[error.grpc]) for error in GATEWAY_ERRORS if error.grpc}
    assert (named["overloaded"], named["unavailable"], named["model_not_found"]) == ("8", "14", "5")


def test_no_status_and_code_twice() -> None:
    pairs = [(error.status, error.code) for error in GATEWAY_ERRORS]
    assert len(set(pairs)) == len(pairs)
