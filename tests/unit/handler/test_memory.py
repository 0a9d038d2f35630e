"""Memory of a process: where none is left for a body, its own request fails alone; what was freed is returned."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from speaker_id.memory import return_freed

SCARCE = """
import json, resource, sys
from speaker_id.protocol import Payload
from tests.unit.handler.test_pipeline import InThisProcess, pipeline, wav
small = Payload({"body": wav(0.5)})
large = Payload({"body": b'{"instances":[{"sampling_rate":192000,"array":[' + b"-9," * 10_000_000 + b"0]}]}"})
pipe = pipeline(decoding=InThisProcess(1))
pipe.identify([small])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20),) * 2)
outcomes = pipe.identify([small, large, small])
json.dump([outcome.body for outcome in outcomes], sys.stdout)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc says how much memory is in use")
def test_a_body_too_large_for_the_memory_that_is_left_fails_alone() -> None:
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SCARCE], capture_output=True, text=True, timeout=600, env=os.environ | path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, large, last = json.loads(done.stdout)
    assert (large["code"], first, first[0]["label"]) == ("out_of_memory", last, "up")


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library returns freed memory by itself"
)
def test_what_was_freed_is_returned_to_the_system() -> None:
    size, count = 64 << 10, 512  # below the size from which the C library maps each block by itself
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    blocks = [libc.malloc(size) for _ in range(count)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    held = libc.malloc(size)  # above them, so that freeing them does not shrink the heap
    for block in blocks:
        libc.free(block)
    before = resident()
    return_freed()
    after = resident()
    libc.free(held)
    assert before - after > size * count / 2


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
