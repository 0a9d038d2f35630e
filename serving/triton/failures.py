"""What Triton prints about a model that does not load, or before it ends."""

from __future__ import annotations

import re
from pathlib import Path

FAILED = re.compile(r"failed to load '([^']+)' version (\d+): (?:Internal: )?([^\n\"]+)")
ERROR = re.compile(r"^(?:E\d{4} \S+ \d+ \S+\] |error: |Error: )\"?([^\n\"]+)", re.MULTILINE)
HARMLESS = ("CudaDriverHelper", "unable to create stream", "initialize NVML")  # without a GPU


def position(output: Path) -> int:
    """How much has been printed until now."""
    try:
        return output.stat().st_size
    except FileNotFoundError:
        return 0


def read(output: Path, after: int = 0) -> str:
    try:
        return output.read_bytes()[after:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def refusal(output: Path, after: int = 0) -> str | None:
    """Why a model does not load, in one line; None if nothing says so."""
    found = FAILED.search(read(output, after))
    return f"{found[1]}: {found[3].strip()}" if found else None


def last_words(output: Path) -> str | None:
    """The last error that was printed."""
    said = [line for line in ERROR.findall(read(output)) if not any(each in line for each in HARMLESS)]
    return said[-1].strip() if said else None
