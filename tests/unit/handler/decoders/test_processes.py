"""What decoder processes are given, what they load, and that none outlives its worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from speaker_id.decoders import Decoders

HANDLER = Path(__file__).resolve().parents[4] / "handler"


def test_a_decoder_has_no_variable_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("LD_PRELOAD", "")
    decoders = Decoders(1, sampling_rate=16000, max_seconds=10.0).ready()
    (pid,) = decoders.pids
    variables = psutil.Process(pid).environ()
    decoders.close()
    assert not {"AWS_SECRET_ACCESS_KEY", "LD_PRELOAD"} & variables.keys()


def test_no_process_is_left_when_the_pool_is_closed() -> None:
    decoders = Decoders(2, sampling_rate=16000, max_seconds=10.0).ready()
    processes = [psutil.Process(pid) for pid in (*decoders.pids, decoders.server.pid)]
    decoders.close()
    _, alive = psutil.wait_procs(processes, timeout=600)
    assert not alive


def test_no_process_is_left_when_the_worker_is_killed() -> None:
    program = (
        "from speaker_id.decoders import Decoders\n"
        "each = Decoders(2, sampling_rate=16000, max_seconds=10.0).ready()\n"
        "print(*each.pids, each.server.pid, flush=True)\n"
        "input()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HANDLER)},
    )
    with worker:
        assert worker.stdout
        processes = [psutil.Process(int(pid)) for pid in worker.stdout.readline().split()]
        worker.kill()
    assert len(processes) == 3
    _, alive = psutil.wait_procs(processes, timeout=600)
    assert not alive


def test_the_worker_loads_no_native_decoder_and_decoders_load_no_torch() -> None:
    program = (
        "import sys; import speaker_id.decoders; worker = set(sys.modules)\n"
        "import speaker_id.decoders.fork_server; decoder = set(sys.modules)\n"
        "print(worker & {'av', 'soundfile', 'soxr'}, decoder & {'torch', 'transformers', 'pydantic'})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(HANDLER)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split("\n")[0] == "set() set()"


def test_a_decoder_whose_fork_server_ended_before_it_began_ends_too() -> None:
    program = "from speaker_id.decoders import sandbox; sandbox.end_with_parent(0); print('goes on')"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(HANDLER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")
