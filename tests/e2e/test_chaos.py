"""`make chaos`, its short form: whatever is done to the server, every request gets exactly one honest answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from measure.chaos.__main__ import FAULTS
from serving import state
from serving.host.leash import Leashed
from tests.e2e.started import belongings

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
QUICK = [fault.name for fault in FAULTS if fault.quick]
UNNOTICED = [fault.name for fault in FAULTS if fault.quick and fault.unnoticed]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "measure.chaos", "--short", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "handler")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The short form, whole; what it printed, and its rows by fault."""
    out = tmp_path_factory.mktemp("chaos")
    done = subprocess.run(
        command("--out", str(out)), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    content = json.loads((out / "chaos.json").read_text())
    return done, {row["fault"]: row for row in content["faults"]}


Run = tuple[subprocess.CompletedProcess[str], dict[str, Any]]


def test_every_promise_holds(run: Run) -> None:
    done, rows = run
    assert list(rows) == QUICK
    assert [broken for row in rows.values() for broken in row["broken"]] == [], done.stdout
    assert done.returncode == 0
    assert done.stderr == ""
    assert "every expectation held" in done.stdout


@pytest.mark.parametrize("fault", QUICK)
def test_nothing_is_lost_and_nothing_wrong(run: Run, fault: str) -> None:
    row = run[1][fault]
    assert (row["lost"], row["wrong"]) == (0, 0)
    assert row["right"] >= 3
    assert row["sent"] == row["right"] + row["retryable"]
    assert row["recovery"] is not None


@pytest.mark.parametrize("fault", UNNOTICED)
def test_callers_notice_nothing_where_the_gateway_tries_again_or_the_fault_is_anothers(
    run: Run, fault: str
) -> None:
    assert run[1][fault]["retryable"] == 0


def test_a_gateway_without_a_model_server_says_503(run: Run) -> None:
    assert run[1]["kill-server"]["retryable"] > 0


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    process = Leashed(
        command("--out", str(tmp_path)),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        folder = ROOT / state.RUN / f"chaos-{process.pid}"
        deadline = time.monotonic() + 600
        while (found := state.read(folder / state.FILE)) is None or found.gateway is None:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)  # between two looks
        family = belongings(process)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=600)
    finally:
        process.kill()
        process.wait()
        process.release()
    assert (process.returncode, said[1]) == (130, b"chaos: interrupted\n")
    assert family
    assert [each.pid for each in family if each.alive] == []
    assert [temp for temp in found.temp if Path(temp).exists()] == []
    assert not folder.exists()
