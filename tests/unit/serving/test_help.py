"""`--help` of every command of the server: it is named as it is run, and starts nothing."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving import arguments

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = ("serve", "stop", "rollout", "clean", "identify", "archive", "demo", "health")
# an absent file, folder or origin is no default to name, and a port of 0 is explained
WITHOUT = {"archived", "tokens", "tls", "help", "models", "revision", "cors", "otlp", "metrics_port"} | {
    *("share", "weights", "health_route", "predict_route", "container"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_it_says_how_it_is_run_and_does_nothing_else(command: str) -> None:
    module = [sys.executable, "-m", f"serving.{command}", "--help"]
    path = {**os.environ, "PYTHONPATH": "handler", "COLUMNS": "100"}
    done = subprocess.run(module, cwd=ROOT, env=path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m serving.{command} [")


def test_every_option_of_serve_says_its_default() -> None:
    actions: list[argparse.Action] = arguments.parser()._actions
    silent = {each.dest for each in actions if "default: " not in (each.help or "")}
    assert silent == WITHOUT
