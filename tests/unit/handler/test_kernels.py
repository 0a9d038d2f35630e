"""What a worker keeps of the lengths that it has seen is bounded: clips of ever new lengths do not make it grow."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from speaker_id import kernels

from bundle import archive
from tests.doubles.demo import demo_speaker

MODELS = Path(__file__).parents[3] / "models"
MOST_GROWN = 24 << 20  # bytes; without bounds it is about 100 MiB
# What is allocated after clips of a hundred lengths, and what two hundred lengths more add to it. A process of its own:
# the bounds are read once, and it counts nobody else's memory.
GROWTH = """
import ctypes, sys
from pathlib import Path
import numpy as np, torch
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model
from speaker_id.settings import Settings

class Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
        ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

look = ctypes.CDLL(None).mallinfo2
look.restype = Heap
torch.set_num_threads(2)
pipeline = Pipeline.load(Path(sys.argv[1]), "cpu", Settings(decoders=1), Model("demo", "1.0"))

def held(lengths):
    for length in lengths:
        pipeline.encoder([np.ones(length, np.float32)])
    return look().uordblks

# half a second to six, so that new lengths of pieces keep coming
lengths = np.random.default_rng(0).permutation(np.linspace(8_000, 96_000, 300, dtype=int))
print(-held(lengths[:100]) + held(lengths[100:]))
pipeline.decoders.close()
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="this C library does not count its memory"
)
def test_clips_of_ever_new_lengths_do_not_make_a_worker_grow(tmp_path: Path) -> None:
    folder = archive.prepare(demo_speaker(), tmp_path)
    unbounded = {name: value for name, value in os.environ.items() if name not in kernels.CAPACITIES}
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(folder)],
        capture_output=True,
        text=True,
        timeout=600,
        env=unbounded | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) < MOST_GROWN


def test_a_bound_that_the_environment_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")
    kernels.bound_caches()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "512"
    assert os.environ["LRU_CACHE_CAPACITY"] == kernels.CAPACITIES["LRU_CACHE_CAPACITY"]
