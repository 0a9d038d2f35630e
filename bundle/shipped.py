"""Numbers of the shipped config.properties that other packages need too."""

from __future__ import annotations

import re
from pathlib import Path

SHIPPED = Path(__file__).resolve().parent.parent / "config.properties"


def shipped(key: str) -> int:
    """A number of the shipped config.properties.

    Raises:
        ValueError: it is not set there, or is not a number.
    """
    found = re.search(rf"^{key}=(\d+)$", SHIPPED.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"config.properties sets no {key}")
    return int(found[1])
