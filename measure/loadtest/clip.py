"""One file that is sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Clip:
    """One file that is sent; `seconds` of audio."""

    name: str
    path: Path
    seconds: float
    media_type: str
