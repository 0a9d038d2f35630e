"""What the script of a client is asked for, on standard input, and how it says what it got, on standard output.

Imports nothing of this repository, nor of any client: the scripts run in the clients' environments.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """The server, a token that it knows, a clip, the same as 16-bit mono WAV, and a file that is no audio."""

    url: str
    token: str
    clip: Path
    wav: Path
    notes: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def asked() -> Asked:
    given = json.load(sys.stdin)
    return Asked(given["url"], given["token"], *(Path(given[name]) for name in ("clip", "wav", "notes")))


def tell(cases: dict[str, Callable[[], Any]]) -> None:
    """Print what each case returns or awaits, or which exception of which library it raises."""
    told = {}
    for name, case in cases.items():
        try:
            told[name] = case()
        except Exception as exc:  # the client's own, whatever it is
            told[name] = {"raised": f"{type(exc).__module__}.{type(exc).__name__}", "said": str(exc)}
    json.dump(told, sys.stdout)


def tell_async(cases: dict[str, Callable[[], Awaitable[Any]]], close: Callable[[], Awaitable[Any]]) -> None:
    """`tell` for a client that is awaited; it is closed in the loop that it was used in."""
    loop = asyncio.new_event_loop()
    tell({name: lambda case=case: loop.run_until_complete(case()) for name, case in cases.items()})
    loop.run_until_complete(close())
    loop.close()
