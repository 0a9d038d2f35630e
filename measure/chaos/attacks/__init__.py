"""Bodies that cost a decoder the most that is known, each made by code; `measure.bench.hostile` measures them.

Every container and codec that is accepted has its own. `build(size)` makes a body of about so many bytes; where the
cost does not grow with the body, of as many as it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Attack(NamedTuple):
    """One kind of body.

    Attributes:
        container: as the list of supported formats names it.
        what: what it consists of, for the table.
        build: size in bytes → body.
        honest: whether it is a recording that the limits allow, and must be answered.
    """

    container: str
    what: str
    build: Callable[[int], bytes]
    honest: bool = False

    @property
    def name(self) -> str:
        return f"{self.container}: {self.what}"


def attacks() -> tuple[Attack, ...]:
    """All of them, container by container."""
    from measure.chaos.attacks import isobmff, longest, matroska, mpeg, ogg, others, riff

    modules = (ogg, isobmff, matroska, mpeg, riff, others, longest)
    return tuple(attack for module in modules for attack in module.ATTACKS)
