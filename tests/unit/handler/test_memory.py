"""A process that really has no memory left for a body: its own request fails, and its mates are answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCARCE = """
import json, resource, sys
from speaker_id.protocol import Payload
from tests.unit.handler.test_pipeline import InThisProcess, pipeline, wav
small = Payload({"body": wav(0.5)})
large = Payload({"body": b'{"instances":[{"sampling_rate":192000,"array":[' + b"-9," * 10_000_000 + b"0]}]}"})
pipe = pipeline(decoding=InThisProcess(1))
pipe.identify([small])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2)
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
