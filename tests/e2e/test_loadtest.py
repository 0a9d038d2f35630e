"""`python -m measure.loadtest` against a real server, as a user runs it: exit codes, files, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from serving.gateway.envoy import Gateway
from tests.doubles.checkpoints import write_checkpoint

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "models" / "demo" / "samples"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def load(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "SPEAKER_ID_TOKEN"}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'handler'}"
    command = [sys.executable, "-m", "measure.loadtest", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def punctual(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A run whose generator kept up; beside other tests it may be late, which is exit code 2 and no result."""
    for _ in range(3):
        said = load(*arguments)
        if said.returncode != 2 or "the load generator itself was late" not in said.stdout:
            break
    return said


def test_a_run_reports_what_it_measured(gateway: Gateway, tmp_path: Path) -> None:
    said = punctual(
        *(
            "run",
            "--url",
            gateway.url,
            "--clips",
            str(SAMPLES),
            "--out",
            str(tmp_path),
            "--slo",
            "p99=30s,errors=0%",
        ),
        *("--rate", "10", "--duration", "3", "--warmup", "1", "--shape", "constant"),
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "SLO p99=30s,errors=0% met" in said.stdout
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["settings"]["urls"] == [f"{gateway.url}/predictions/demo"]
    assert content["result"]["requests"] == 30
    assert content["result"]["offered_per_second"] == 10.0
    assert content["result"]["errors"] == {}
    assert 0 < content["result"]["p50"] <= content["result"]["p99"]
    assert content["mean"]["inference_ms"] > 0
    assert content["mean"]["batch_size"] >= 1
    assert (tmp_path / "report.html").read_text("utf-8").count("<svg") == 5


def test_a_broken_slo_is_exit_code_1_over_grpc_as_over_http(gateway: Gateway, tmp_path: Path) -> None:
    said = punctual(
        *("run", "--url", gateway.url, "--clips", str(SAMPLES), "--out", str(tmp_path), "--slo", "p99=1ms"),
        *("--rate", "5", "--duration", "2", "--warmup", "0", "--grpc"),
    )
    assert (said.returncode, said.stderr) == (1, "")
    assert "SLO p99=0.001s not met: p99 is" in said.stdout
    assert json.loads((tmp_path / "report.json").read_text())["result"]["errors"] == {}


def test_without_a_url_a_server_of_the_models_is_started_and_nothing_of_it_is_left(
    run: Run, checkout: Path
) -> None:
    write_checkpoint(checkout / "other")
    arguments = ("--rate", "5", "--duration", "2", "--warmup", "1", "--clips", str(SAMPLES))
    arguments += ("--models", "demo ./other")
    said = run("-m", "measure.loadtest", "run", *arguments)
    assert said.returncode == 0, said.stdout + said.stderr
    content = json.loads((checkout / "reports" / "report.json").read_text())
    assert content["result"]["errors"] == {}
    assert [url.rsplit("/", 1)[1] for url in content["settings"]["urls"]] == ["demo", "other"]
    assert content["server_mean_ms"]["inference"] > 0
    assert content["foreign_cores"] is not None
    assert list((checkout / "build" / "run").iterdir()) == []
    assert not [
        it for it in psutil.process_iter(["cmdline"]) if str(checkout) in " ".join(it.info["cmdline"] or [])
    ]
