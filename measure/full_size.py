"""The demo model at wav2vec2-base's size, for measurements of what a published checkpoint would cost."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bundle import BundleError
from measure import ROOT

FULL_SIZE = Path("build/full-size")
Say = Callable[[str], None]


def model(chosen: argparse.Namespace, say: Say) -> str:
    """What to resolve: the one asked for, the demo, or the demo widened."""
    if chosen.model or chosen.quick:
        return chosen.model or "demo"
    widen(say)
    return f"./{FULL_SIZE}"


def widen(say: Say) -> None:
    """Make the demo model wav2vec2-base's size.

    Raises:
        BundleError: says why that failed.
    """
    say(f"widening the demo model to full size: {FULL_SIZE}")
    command = [sys.executable, "-m", "training.widen", str(FULL_SIZE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise BundleError(
            f"training.widen failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
