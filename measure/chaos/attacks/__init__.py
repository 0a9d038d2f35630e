"""Bodies that cost a decoder the most that is known, each made by code; `measure.bench.hostile` measures them.

Every container and codec that is accepted has its own. `build(size)` makes a body of about so many bytes; where the
cost does not grow with the body, of as many as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

Build = Callable[[int], bytes]  # size in bytes → body


class Attack(NamedTuple):
    """One kind of body.

    Attributes:
        container: as the list of supported formats names it.
        what: what it consists of, for the table.
        build: makes it.
        honest: whether it is a recording that the limits allow, and must be answered.
    """

    container: str
    what: str
    build: Build
    honest: bool = False

    @property
    def name(self) -> str:
        return f"{self.container}: {self.what}"


def named(builds: Mapping[str, Build], honest: bool = False) -> tuple[Attack, ...]:
    """Attacks from their names, `container: what`."""
    parts = ((name.partition(": "), build) for name, build in builds.items())
    return tuple(Attack(container, what, build, honest) for (container, _, what), build in parts)


def repeated(part: bytes, size: int) -> bytes:
    """The part as often as it fits into the size, once at least."""
    return part * max(1, size // len(part))


class Crc:
    """A cyclic redundancy check over bytes, highest bit first, beginning with 0."""

    def __init__(self, width: int, polynomial: int) -> None:
        self._shift, self._mask = width - 8, (1 << width) - 1
        self._table = []
        for byte in range(256):
            value = byte << self._shift
            for _ in range(8):
                value = value << 1 ^ (polynomial if value >> width - 1 else 0)
                value &= self._mask
            self._table.append(value)

    def __call__(self, content: bytes) -> int:
        value = 0
        for byte in content:
            value = (value << 8 & self._mask) ^ self._table[value >> self._shift ^ byte]
        return value


def attacks() -> tuple[Attack, ...]:
    """All of them, container by container."""
    from measure.chaos.attacks import isobmff, longest, matroska, mpeg, ogg, others, riff

    modules = (ogg, isobmff, matroska, mpeg, riff, others, longest)
    return tuple(attack for module in modules for attack in module.ATTACKS)
