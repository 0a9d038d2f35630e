"""The allocator of the server's processes: asked for by name, and loaded for real."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys

import pytest

from bundle import BundleError
from serving.host import allocator


def test_glibcs_own_needs_nothing() -> None:
    assert allocator.environment("glibc") == {}


def test_one_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: None)
    with pytest.raises(BundleError, match="apt install libjemalloc2"):
        allocator.environment("jemalloc")


@pytest.mark.skipif(ctypes.util.find_library("jemalloc") is None, reason="libjemalloc is not installed")
def test_a_process_with_it_has_it_mapped() -> None:
    maps = "print(open('/proc/self/maps').read())"
    variables = os.environ | allocator.environment("jemalloc")
    done = subprocess.run(
        [sys.executable, "-c", maps], env=variables, capture_output=True, text=True, check=True
    )
    assert "libjemalloc" in done.stdout
