"""TorchServe's metrics.yaml, as it is made from the catalogue."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from serving.metrics.catalogue import BY_NAME
from serving.torchserve import declaration
from serving.torchserve.scrape import OWN

ROOT = Path(__file__).resolve().parents[4]
DECLARED = yaml.safe_load(declaration.text())
WORKERS = {entry["name"]: (kind, entry) for kind, each in DECLARED["model_metrics"].items() for entry in each}


def test_what_the_handler_observes_is_what_is_declared() -> None:
    """TorchServe would drop one that is not declared; one that is never observed has no reason to be."""
    telemetry = (ROOT / "handler" / "speaker_telemetry.py").read_text("utf-8")
    assert set(re.findall(r'"(speaker_id_\w+)"', telemetry)) == set(WORKERS)


def test_kinds_and_labels_are_the_catalogues() -> None:
    found = {name: (kind, tuple(entry["dimensions"])) for name, (kind, entry) in WORKERS.items()}
    assert found == {name: (BY_NAME[name].kind, BY_NAME[name].labels) for name in WORKERS}


def test_a_name_says_its_unit() -> None:
    assert WORKERS["speaker_id_queue_seconds"][1]["unit"] == "Seconds"
    assert WORKERS["speaker_id_batch_clips"][1]["unit"] == "Count"


def test_of_torchserves_own_those_are_declared_that_the_exporter_reads() -> None:
    assert [each["name"] for each in DECLARED["ts_metrics"]["counter"]] == list(OWN)


def test_the_command_prints_the_file() -> None:
    command = [sys.executable, "-m", "serving.torchserve"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (declaration.text(), "")
