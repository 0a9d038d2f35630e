"""What the splitter counts, for the exporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass
class Counts:
    """Counts since the process was started.

    Attributes:
        clips: requests of many clips that were cut into groups.
        recordings: requests with windows.
        passed: requests that were passed on unchanged.
        groups: groups that were sent.
        windows: windows in them.
        in_flight: groups that are sent and not answered now.
    """

    clips: int = 0
    recordings: int = 0
    passed: int = 0
    groups: int = 0
    windows: int = 0
    in_flight: int = 0

    @contextmanager
    def group(self) -> Iterator[None]:
        """Count one group while it is in flight."""
        self.groups += 1
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def described(self) -> dict[str, int]:
        return asdict(self)
