"""The file of bearer tokens that the gateway accepts: checked before a server starts with it, and looked at while it
serves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from bundle import BundleError, private

SHORTEST, LONGEST = 16, 512  # ASCII characters, of a token
LOOK_SECONDS = 5.0  # between two looks at the file of a running server
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
    """Check a file of tokens: one a line; empty lines and those that begin with # are left out.

    Raises:
        BundleError: the file is missing, empty or readable by others, or a token is too short, too long or has spaces.
    """
    try:
        private.check(file, f"TOKENS={file}")
        lines = file.read_text("utf-8").splitlines()
    except OSError as exc:
        raise BundleError(f"TOKENS={file} cannot be read, {exc.strerror}: {HOW}") from exc
    except UnicodeDecodeError as exc:
        raise BundleError(f"TOKENS={file} is not UTF-8 text: {HOW}") from exc
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    tokens = [(number, token) for number, token in numbered if token and not token.startswith("#")]
    for number, token in tokens:
        if not SHORTEST <= len(token) <= LONGEST or not token.isascii() or len(token.split()) > 1:
            raise BundleError(
                f"TOKENS={file} line {number} is not a token: {SHORTEST} to {LONGEST} ASCII characters without spaces; "
                f"{HOW}"
            )
    if not tokens:
        raise BundleError(f"TOKENS={file} contains no token: {HOW}")
    return Tokens(file.absolute(), tuple(token for _, token in tokens))


def usable(file: Path) -> bool:
    """Whether the gateway accepts any token of this file, by the rule of tokens.lua."""
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:
        return False
    words = [line.split() for line in lines]
    return any(
        len(line) == 1 and not line[0].startswith(b"#") and SHORTEST <= len(line[0]) <= LONGEST
        for line in words
    )


class Watch:
    """Tells the operator when a file that is replaced while serving locks everybody out."""

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens, self._usable, self._at = tokens, True, 0.0

    def news(self) -> str | None:
        """One line when the file has become unusable, or usable again; to be called repeatedly."""
        if self._tokens is None or time.monotonic() < self._at:
            return None
        self._at = time.monotonic() + LOOK_SECONDS
        before, self._usable = self._usable, usable(self._tokens.file)
        if self._usable == before:
            return None
        if self._usable:
            return f"TOKENS={self._tokens.file} holds a usable token again"
        return f"TOKENS={self._tokens.file} holds no usable token: every caller gets 401"
