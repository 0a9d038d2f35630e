"""Lines for the person at the terminal, who may be gone: saying something never ends what is being done."""

from __future__ import annotations

import contextlib
import os
import sys


def say(text: str) -> None:
    """Print a line, even to a pipe that nobody reads, to a closed terminal, or to one that is not UTF-8."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        with contextlib.suppress(OSError):
            print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError:
        # what could not be written stays in the buffer, and Python's own flush at its end would fail over it
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
