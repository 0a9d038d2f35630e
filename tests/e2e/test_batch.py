"""`python -m clients.batch` against a real server: killed and started again, it answers each clip once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bundle.samples import samples
from measure import ROOT

COPIES = 12  # of each of the demo's samples

pytestmark = pytest.mark.any_server


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    for sample in samples():
        for number in range(COPIES):
            (folder / f"{number:02d}-{sample.path.name}").symlink_to(sample.path.resolve())
    return folder


def start(gateway: Any, archive: Path, out: Path) -> subprocess.Popen[str]:
    arguments = ["--in", str(archive), "--out", str(out), "--url", gateway.url, "--concurrency", "4"]
    return subprocess.Popen(
        [sys.executable, "-m", "clients.batch", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )


def test_a_run_that_was_killed_is_continued(gateway: Any, archive: Path, tmp_path: Path) -> None:
    speakers = {sample.path.name: sample.speaker for sample in samples()}
    out, names = tmp_path / "answers.jsonl", {file.name for file in archive.iterdir()}
    killed = start(gateway, archive, out)
    deadline = time.monotonic() + 60
    while not out.is_file() or out.read_bytes().count(b"\n") < len(names) // 4:
        assert time.monotonic() < deadline
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = out.read_bytes().count(b"\n")
    assert before < len(names), "it was killed too late to show anything"
    again = start(gateway, archive, out)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    records = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert Counter(record["clip"] for record in records) == Counter(names)
    for record in records:
        assert record["labels"][0]["label"] == speakers[record["clip"][3:]], record
