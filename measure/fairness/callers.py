"""Who calls: one greedy caller and others, each with a token of its own, and the file that has their shares."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from bundle import private

GREEDY = "greedy"
OTHERS_SHARE = "requests=1000 audio=10000"  # more than they send: they go through the same buckets
# what the greedy caller sends, as a multiple of its share, and whether it has one
CONDITIONS = {"its share": (1, True), "ten times its share": (10, True), "ten times, unlimited": (10, False)}


@dataclass(frozen=True)
class Callers:
    """The callers of one file of tokens.

    Attributes:
        file: that the gateway reads at every request.
        count: of tokens, the greedy caller's included.
        share: its requests a second.
    """

    file: Path
    count: int
    share: float
    greedy: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def made(cls, file: Path, count: int, share: float) -> Callers:
        """New tokens, not written yet."""
        return cls(file, count, share, others=tuple(secrets.token_urlsafe(24) for _ in range(count - 1)))

    def write(self, limited: bool) -> None:
        """Give the greedy caller its share, or none, from the next request on."""
        share = (
            f"requests={self.share:g} requests_burst={max(self.share, 1):g}"
            if limited
            else "requests=unlimited"
        )
        lines = [f"* {OTHERS_SHARE}", f"{self.greedy} name={GREEDY} {share}"]
        lines += [f"{token} name=other-{number}" for number, token in enumerate(self.others, 1)]
        private.write(self.file, "\n".join(lines) + "\n")
