"""The file of bearer tokens that the gateway accepts: checked before a server starts with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bundle import BundleError, private

SHORTEST, LONGEST = 16, 512  # ASCII characters, of a token
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
