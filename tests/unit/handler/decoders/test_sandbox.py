"""What a confined process cannot do any more: tried in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from speaker_id.decoders import sandbox

HANDLER = Path(__file__).resolve().parents[4] / "handler"
PROGRAM = """
import json, mmap, os, resource, signal, socket, threading
import numpy as np
from speaker_id.decoders import sandbox

sandbox.confine(256 << 20, 1000)

def tried(action):
    try:
        action()
    except BaseException as exc:
        return type(exc).__name__
    return "done"

print(json.dumps({
    "reads a file": tried(lambda: open("/etc/hostname")),
    "lists a folder": tried(lambda: os.listdir("/")),
    "makes a socket": tried(lambda: socket.socket()),
    "makes a pipe": tried(lambda: os.pipe()),
    "starts a process": tried(lambda: os.fork()),
    "starts a program": tried(lambda: os.execv("/bin/true", ["true"])),
    "starts a thread": tried(lambda: threading.Thread(target=print).start()),
    "signals another": tried(lambda: os.kill(os.getppid(), 0)),
    "changes its parent's limits": tried(lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))),
    "changes a file's mode": tried(lambda: os.chmod("/tmp", 0o777)),
    "maps memory to run": tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "takes 1 GiB": tried(lambda: np.ones(1 << 27)),
    "takes 64 MiB": tried(lambda: np.ones(1 << 23)),
    "raises its memory limit": tried(lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))),
}), flush=True)
os._exit(0)
"""


@cache
def outcomes() -> dict[str, Any]:
    user = {} if os.geteuid() else {"user": 65534}  # root may raise limits again, and a decoder is not root
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(HANDLER)},
        capture_output=True,
        text=True,
        check=True,
        **user,
    )
    return dict(json.loads(ran.stdout))


needs_filter = pytest.mark.skipif(
    not sandbox.FILTERED, reason="no libseccomp here: decoders have resource limits alone"
)


@needs_filter
@pytest.mark.parametrize(
    "action",
    [
        "reads a file",
        "lists a folder",
        "makes a socket",
        "makes a pipe",
        "starts a process",
        "starts a program",
        "starts a thread",
        "signals another",
        "changes its parent's limits",
        "changes a file's mode",
        "maps memory to run",
    ],
)
def test_a_confined_process_may_not(action: str) -> None:
    assert outcomes()[action] in ("PermissionError", "OSError", "RuntimeError")


def test_memory_is_limited_and_what_is_left_of_it_can_be_had() -> None:
    assert outcomes()["takes 1 GiB"] in ("MemoryError", "_ArrayMemoryError")
    assert outcomes()["takes 64 MiB"] == "done"


def test_no_limit_can_be_raised_again() -> None:
    assert outcomes()["raises its memory limit"] in ("ValueError", "PermissionError")


def test_a_busy_confined_process_is_ended_once_its_cpu_time_is_used() -> None:
    program = (
        "import resource; from speaker_id.decoders import sandbox\n"
        "sandbox.confine(256 << 20, 1000); sandbox.limit_cpu(0.1)\n"
        "assert resource.getrlimit(resource.RLIMIT_CPU)[0] < 10\n"
        "while True: pass"
    )
    ran = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(HANDLER)})
    assert -ran.returncode == 24  # SIGXCPU
