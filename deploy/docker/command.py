"""A container engine's command: what it prints, or why it failed."""

from __future__ import annotations

import subprocess

from bundle import BundleError


def run(program: str, *words: str, given: str | None = None) -> str:
    """What a command of the engine prints.

    Raises:
        BundleError: it failed.
    """
    done = subprocess.run([program, *words], capture_output=True, text=True, input=given)
    if done.returncode:
        raise BundleError(f"{program} {' '.join(words[:2])} failed: {done.stderr.strip()}")
    return done.stdout
