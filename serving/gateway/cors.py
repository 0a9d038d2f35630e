"""The web pages whose scripts may ask the gateway: none unless they are named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bundle import BundleError

ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?")

NOTHING = r"[^\x00-\xff]"  # a character that is none
# Of an answer to headers that Envoy has not read whole, so that nobody knows which page asks: it holds nothing of the
# request, and any page may read it.
UNREAD = """\
                      headers_to_add: [{header: {key: access-control-allow-origin, value: "*"}}]
"""


def read(given: str) -> tuple[str, ...]:
    """The origins of `CORS="https://a.example https://b.example:8443"`.

    Raises:
        BundleError: one of them is no origin; "*" is none, since every page would then send its visitors' voices.
    """
    for each in given.split():
        if not ORIGIN.fullmatch(each):
            raise BundleError(
                f"CORS={each} is no origin: name scheme, host and port if it has one, as in https://a.example"
            )
    return tuple(given.split())


def regex(origins: Sequence[str]) -> str:
    """What matches these origins whole and nothing else, for RE2."""
    return "|".join(map(re.escape, origins)) or NOTHING
