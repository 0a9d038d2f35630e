"""Nothing that is said ends what is being done: nobody reads, the terminal has gone, it is not UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAY = "from bundle.terminal import say; say('a → b'); say('again'); import sys; print('on', file=sys.stderr)"


def test_a_pipe_that_nobody_reads_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", SAY], stdout=write, stderr=subprocess.PIPE, timeout=600)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"on\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_disk_is_no_error() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([sys.executable, "-c", SAY], stdout=full, stderr=subprocess.PIPE, timeout=600)
    assert (done.returncode, done.stderr) == (0, b"on\n")


def test_a_closed_output_is_no_error() -> None:
    command = f'exec {sys.executable} -c "{SAY}" >&-'
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, timeout=600)
    assert (done.returncode, done.stderr) == (0, b"on\n")


def test_a_terminal_that_is_not_utf_8_gets_the_rest() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", SAY], env=environment, capture_output=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, b"a \\u2192 b\nagain\n")
