"""Results of one measurement on several model servers: a file in which each has its place, and the page about all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from measure.document import Page, join
from measure.results import load_json, save_json

Found = TypeVar("Found")


class LatencyRun:
    """Of a frozen dataclass that has `latencies`, a tuple of milliseconds: what a JSON file has of it."""

    def row(self) -> dict[str, Any]:
        """Its fields; the latencies are one line."""
        fields = asdict(cast(Any, self))
        return {**fields, "latencies": " ".join(map(str, fields["latencies"]))}

    @classmethod
    def of(cls: type[Found], row: dict[str, Any]) -> Found:
        """The inverse of `row`."""
        return cls(**{**row, "latencies": tuple(map(float, row["latencies"].split()))})


@dataclass(frozen=True)
class Recorded:
    """What one command records.

    Attributes:
        command: which one.
        file: where.
        page: that has a part about each server.
        part: makes it, of a server's name and what was recorded of it.
    """

    command: str
    file: Path
    page: Page
    part: Callable[[str, dict[str, Any]], Sequence[object]]

    def record(self, content: dict[str, Any]) -> None:
        """Keep the runs of this server beside those of others, and write the page again."""
        kept = load_json(self.file, self.command) if self.file.exists() else {}
        save_json({**kept, content["settings"]["server"]: content}, self.file)
        self.page.write(self.text(self.file.parent))

    def text(self, results: Path) -> str:
        """The page's part about what a folder has."""
        if not (results / self.file.name).is_file():
            return f"No result is recorded: `{self.command}` records one."
        kept = load_json(results / self.file.name, self.command)
        return join(*(part for server, content in kept.items() for part in self.part(server, content)))
