"""Lines for the terminal, which may be closed: printing one never ends the command."""

from __future__ import annotations

import contextlib
import os
import sys


def say(text: str) -> None:
    """Print a line; a pipe that nobody reads, a closed terminal, or one that is not UTF-8 is no error."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        with contextlib.suppress(OSError):
            print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError:
        # what could not be written stays in the buffer, and Python's flush at exit would fail on it
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
