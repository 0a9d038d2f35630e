"""What this repository set out to reach, and whether a run reached it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One target: `measured` must be at least, or at most, `wanted`; None where nothing could be measured.

    Attributes:
        at: where it was measured, if there are several places.
        unit: of both figures.
    """

    what: str
    wanted: float
    measured: float | None
    at_least: bool = True
    at: str = ""
    unit: str = "×"

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted

    def cells(self, form: str) -> tuple[str, str, str]:
        """What was wanted, what was measured in this format, and whether that is enough."""
        found = "not measured" if self.measured is None else f"{self.measured:{form}}{self.unit}"
        outcome = {True: "met", False: "missed", None: "open"}[self.met]
        return f"{'≥' if self.at_least else '≤'} {self.wanted:g}{self.unit}", found, outcome
