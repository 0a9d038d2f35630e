"""`make evaluate`, ended in the middle and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.client.double import Reply, Server
from tests.unit.measure.evaluation.conftest import Evaluate
from tests.unit.measure.evaluation.outcome import asked, result

ROOT = Path(__file__).resolve().parents[4]


def start(server: Server, table: Path, out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "measure.evaluation", "--url", server.url, "--model", "sid"]
    command += ["--data", str(table), "--out", str(out), "--concurrency", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'handler'}"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def lines(out: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in out.glob("evaluation/*/journal.jsonl"))


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_ended_in_the_middle_goes_on_and_counts_nothing_twice(
    server: Server,
    table: Path,
    tmp_path: Path,
    evaluate: Evaluate,
    ending: signal.Signals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.otherwise = Reply(delay=0.1)
    out = tmp_path / "out"
    with start(server, table, out) as process:
        deadline = time.monotonic() + 600
        while lines(out) < 5:  # the header and four clips
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(ending)
        said = process.communicate(timeout=600)[1].decode()
    assert process.returncode == (-9 if ending == signal.SIGKILL else 130)
    assert said == (
        ""
        if ending == signal.SIGKILL
        else "evaluate: interrupted; what was answered is kept: run it again to go on\n"
    )
    kept = lines(out) - 1
    assert 4 <= kept < 12

    server.requests.clear()
    assert evaluate() == 0
    assert f"going on: {kept} of 12 are answered already" in capsys.readouterr().out
    again = asked(server)
    assert sum(again.values()) == 12 - kept
    assert set(again.values()) == {1}
    assert lines(out) - 1 == 12
    found = result(tmp_path)
    assert (found.clean.top1.right, found.clean.top1.clips) == (8, 12)
