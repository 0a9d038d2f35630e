"""docs/operations.md sends the engineer on call to files: what it says is in them is in them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from serving.gateway.envoy import Gateway
from serving.torchserve.process import TorchServe
from tests.e2e.started import CLIPS
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def lines(log: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def test_a_request_is_found_by_its_id_where_the_page_says(server: TorchServe, gateway: Gateway) -> None:
    said = " ".join(PAGE.split())
    assert "is the `id` of its line in `gateway_access.log`" in said
    assert "the `request` of its line in `logs/handler_log.log`" in said
    answer = requests.post(
        f"{gateway.url}/predictions/demo",
        CLIPS[0].read_bytes(),
        headers={"X-Request-Id": "on-call-7", "Content-Type": "audio/flac"},
        timeout=600,
    )
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "on-call-7")
    handler = [each for each in lines(server.logs / "handler_log.log") if each.get("request") == "on-call-7"]
    assert len(handler) == 1
    assert {"queue_ms", "decode_ms", "inference_ms"} <= handler[0].keys()
    wait_until(lambda: "on-call-7" in gateway.access_log.read_text())
    assert [each["path"] for each in lines(gateway.access_log) if each["id"] == "on-call-7"] == [
        "/predictions/demo"
    ]
    assert "on-call-7" not in (server.logs / "model_log.log").read_text()
    assert re.findall(r"(\w+);dur=", answer.headers["server-timing"]) == ["queue", "decode", "inference"]


def test_the_traceback_of_an_internal_error_is_where_the_page_says(
    stub_server: TorchServe, ask: Callable[..., requests.Response]
) -> None:
    assert "| `logs/model_log.log` has the traceback |" in PAGE
    assert ask("/predictions/stub", b"raise").json()["code"] == "internal_error"
    wait_until(lambda: "ValueError: a bug" in (stub_server.logs / "model_log.log").read_text())


def test_every_file_of_a_run_folder_is_in_the_page_s_table(
    stub_server: TorchServe, stub_gateway: Gateway
) -> None:
    table = PAGE.partition("## Files")[2].partition("## Readiness")[0]
    # an earlier test may have rotated the logs, whose former contents the table does not name
    found = {
        re.sub(r"\.\d+\.log$", ".log", file.name) for file in stub_server.run.iterdir() if file.is_file()
    }
    assert {"config.properties", "envoy.yaml", "errors.lua"} <= found
    assert [name for name in sorted(found) if f"`{name}`" not in table and not name.endswith(".lua")] == []
    assert "`*.lua`" in table


def test_every_log_that_the_page_names_is_written(server: TorchServe, gateway: Gateway) -> None:
    named = set(re.findall(r"`((?:logs/)?\w+\.log)`", PAGE))
    assert {"logs/handler_log.log", "logs/model_log.log", "logs/ts_log.log", "gateway_access.log"} <= named
    for name in named - {"triton.log"}:  # Triton's is there with Triton alone
        assert (server.run / name).is_file(), name


def commands(containing: str) -> str:
    """The page's block of commands that this file runs."""
    blocks = re.findall(r"<!-- run: tests/e2e/test_operations_page.py -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [block for block in blocks if containing in block]
    return str(found)


def output(script: str) -> list[str]:
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_its_checks_say_what_the_page_says(gateway: Gateway) -> None:
    script = commands("/v2/health/ready").replace("http://127.0.0.1:8080", gateway.url)
    script = script.replace("curl ", "curl -sS -w '\\n%{http_code}\\n' ")
    ready, live, versions = zip(*[iter(output(script))] * 2, strict=True)
    assert (ready[-1], live[-1], versions[-1]) == ("200", "200", "200")
    assert '"versions": ["2.0"]' in versions[0]


def test_torchserve_is_asked_over_its_socket_as_the_page_says(server: TorchServe, tmp_path: Path) -> None:
    state = tmp_path / "serve.json"
    state.write_text(json.dumps({"management": str(server.management.path)}))
    script = commands("--unix-socket").replace("build/run/8080/serve.json", str(state))
    said = "\n".join(output(script.replace("curl ", "curl -sS --fail ")))
    assert '"jobQueueStatus"' in said
    assert '"status": "Processing worker updates..."' in said
