"""The file of bearer tokens that the gateway accepts: checked before a server starts with it, and looked at while it
serves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from bundle import BundleError, private
from serving.gateway import shares

SHORTEST, LONGEST = 16, 512  # ASCII characters, of a token
LOOK_SECONDS = 5.0  # between two looks at the file of a running server
ALL = "*"  # in a token's place: the line has the share of every token that has none of its own
HOW = "make one with `openssl rand -base64 32 > FILE; chmod 600 FILE`"


@dataclass(frozen=True)
class Tokens:
    """A file of tokens that has been checked.

    Attributes:
        file: absolute; the gateway reads it at every request, and a link is followed again each time.
        each: the tokens that it held when it was read.
    """

    file: Path
    each: tuple[str, ...] = field(repr=False)


def read(file: Path) -> Tokens:
    """Check a file of tokens: one a line, and after it its name and its share (shares.py), as in

        * requests=10 audio=60
        FJ9M3yIz0RrA41UuQz3Km3Vf8C1yL2bX name=alice requests=50

    Empty lines and those that begin with # are left out.

    Raises:
        BundleError: the file is missing, empty or readable by others, a token is too short or too long, or what
            follows it is not a share.
    """
    try:
        private.check(file, f"TOKENS={file}")
        text = file.read_text("utf-8")
    except OSError as exc:
        raise BundleError(f"TOKENS={file} cannot be read, {exc.strerror}: {HOW}") from exc
    except UnicodeDecodeError as exc:
        raise BundleError(f"TOKENS={file} is not UTF-8 text: {HOW}") from exc
    tokens = []
    for number, line in enumerate(text.splitlines(), 1):
        token = _token(line, f"TOKENS={file} line {number}")
        tokens += [token] if token else []
    if not tokens:
        raise BundleError(f"TOKENS={file} contains no token: {HOW}")
    return Tokens(file.absolute(), tuple(tokens))


def _token(line: str, said: str) -> str | None:
    """The token of one line; None if it is for none.

    Args:
        line: of the file.
        said: how a message names it: a token must not stand in one.

    Raises:
        BundleError: it is none of the lines that are allowed.
    """
    token, *words = line.split() or [""]
    if not token or token.startswith("#"):
        return None
    if token != ALL and (not SHORTEST <= len(token) <= LONGEST or not token.isascii()):
        raise BundleError(
            f"{said} is not a token: {SHORTEST} to {LONGEST} ASCII characters without spaces; {HOW}"
        )
    named = [word for word in words if word.startswith("name=")]
    name = named[0].removeprefix("name=") if named else ""
    if len(named) > 1 or (
        named and (token == ALL or name in shares.RESERVED or not shares.NAME.fullmatch(name))
    ):
        raise BundleError(
            f"{said} has no valid name=: one of 1 to 64 letters A-Z, digits, _ and -, except "
            f"{', '.join(shares.RESERVED)}; the line of {ALL} has none"
        )
    if any("=" not in word for word in words):
        raise BundleError(
            f"{said} is not a token: after its token, a line has name= and its share alone; {HOW}"
        )
    shares.parsed([word for word in words if word not in named], said)
    return None if token == ALL else token


def fault(file: Path) -> str:
    """What the gateway leaves out of this file, by the rule of tokens.lua; empty if nothing."""
    try:
        lines = file.read_text("utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    tokens, wrong = 0, ""
    for number, line in enumerate(lines, 1):
        try:
            tokens += _token(line, f"TOKENS={file} line {number}") is not None
        except BundleError as exc:
            wrong = wrong or f"{exc}; the line is left out"
    return wrong if tokens else f"TOKENS={file} holds no usable token: every caller gets 401"


class Watch:
    """Tells the operator when a file that is replaced while serving locks callers out."""

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens, self._fault, self._at = tokens, "", 0.0

    def news(self) -> str | None:
        """One line when the file has a fault, or has none again; to be called repeatedly."""
        if self._tokens is None or time.monotonic() < self._at:
            return None
        self._at = time.monotonic() + LOOK_SECONDS
        before, self._fault = self._fault, fault(self._tokens.file)
        if self._fault == before:
            return None
        return self._fault or f"TOKENS={self._tokens.file} is valid again"
