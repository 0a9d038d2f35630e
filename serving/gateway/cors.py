"""The web pages whose scripts may call the gateway: none unless they are named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bundle import BundleError

ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?")

NOTHING = r"[^\x00-\xff]"  # no header has such a character


def read(given: str) -> tuple[str, ...]:
    """The origins of `CORS="https://a.example https://b.example:8443"`.

    Raises:
        BundleError: one of them is not an origin; "*" is refused too, since any page could then send its visitors'
            voices.
    """
    for each in given.split():
        if not ORIGIN.fullmatch(each):
            raise BundleError(
                f"CORS={each} is not an origin: give scheme, host and, if it has one, port, as in https://a.example"
            )
    return tuple(given.split())


def regex(origins: Sequence[str]) -> str:
    """A regular expression of RE2 that matches exactly these origins."""
    return "|".join(map(re.escape, origins)) or NOTHING
