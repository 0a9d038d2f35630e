"""How much each caller may send: words such as `requests=10 audio=60`, in the file of tokens or for every address.

The gateway keeps two token buckets a caller (https://en.wikipedia.org/wiki/Token_bucket): of requests, and of seconds
of audio. shares.lua has the rule; this file has the grammar, and the memory that Envoy's threads share.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bundle import BundleError, private

RATES = ("requests", "audio")  # a second; audio in seconds
NUMBERS = tuple(name for rate in RATES for name in (rate, f"{rate}_burst"))
NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
UNLIMITED = "unlimited"
BURST_SECONDS = 10  # of its rate: the burst of a limit that names none
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # of a caller, in metrics
RESERVED = ("unnamed", "other", "address")  # in metrics: who has no name of its own
MOST_NAMES = 100  # that metrics tell apart, the first of the file: a series each

# for tokens.lua
LUA_BOUNDS = (
    f"MOST_NAMES, BURST_SECONDS = {MOST_NAMES}, {BURST_SECONDS}\n"
    f"RESERVED = {{{', '.join(f'{name} = true' for name in RESERVED)}}}\n"
)

FILE = "shares"  # beside the admin interface's socket
# Callers whose buckets are kept; another takes the place of one that has been idle for longest, whose buckets are full
# or nearly. Too few: who has spent its share gets it again too early. Too many: memory.
SLOTS = 16384
SLOT_BYTES = 5 * 8  # shares.lua's `bucket`


def read(given: str) -> dict[str, float]:
    """The share of `SHARE="requests=5 audio=30"`; empty where nothing is given, and nobody is limited.

    Raises:
        BundleError: it is not one.
    """
    return with_bursts(parsed(given.split(), f"SHARE={given}"))


def parsed(words: Iterable[str], said: str) -> dict[str, float]:
    """The numbers of these words by name; infinity is no limit.

    Args:
        words: `requests=10`, `requests_burst=20`, `audio=60`, `audio_burst=120`, or `unlimited` in place of a rate.
        said: how a message names where they stand.

    Raises:
        BundleError: one is something else, stands twice, or is a burst without its rate.
    """
    found: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        unlimited = name in RATES and value == UNLIMITED
        number = float(value) if NUMBER.fullmatch(value) else 0.0
        if name not in NUMBERS or name in found or not (unlimited or number > 0):
            raise BundleError(
                f"{said}: {word!r} is not one of {', '.join(NUMBERS)}, each once and with a number above 0, as in "
                f"requests=10, or a rate with {UNLIMITED}"
            )
        found[name] = float("inf") if unlimited else number
    for rate in RATES:
        burst = found.get(f"{rate}_burst")
        if burst is not None and rate not in found:
            raise BundleError(f"{said}: {rate}_burst= needs {rate}= beside it")
        if rate == "requests" and burst is not None and burst < 1:
            raise BundleError(f"{said}: requests_burst={burst:g} would let no request pass: at least 1")
    return found


def with_bursts(numbers: Mapping[str, float]) -> dict[str, float]:
    """The same without rates that limit nothing, and with every burst."""
    found = {}
    for rate in RATES:
        limit = numbers.get(rate, float("inf"))
        if limit != float("inf"):
            found[rate] = limit
            found[f"{rate}_burst"] = numbers.get(f"{rate}_burst", max(limit * BURST_SECONDS, 1.0))
    return found


def lua_share(numbers: Mapping[str, float]) -> str:
    """The table that shares.lua reads: the share of every address."""
    return f"SHARE = {{{', '.join(f'{name} = {value!r}' for name, value in numbers.items())}}}\n"


def create(file: Path) -> None:
    """Make the memory that Envoy's threads share: every bucket is full."""
    private.write(file, bytes(SLOTS * SLOT_BYTES))
