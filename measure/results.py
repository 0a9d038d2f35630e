"""Results on disk: runs as rows of a CSV, and JSON files."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from measure import MeasureError
from measure.machine import Machine

Maybe = Annotated[float | None, BeforeValidator(lambda value: None if value == "" else value)]


class CsvRow(BaseModel):
    """A row of a CSV; a `Maybe` that was not measured is an empty cell."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def columns(cls) -> list[str]:
        """What a kind of row adds stands before what it shares with others."""
        inherited = {name for base in cls.__bases__ for name in getattr(base, "model_fields", ())}
        return sorted(cls.model_fields, key=lambda name: name in inherited)


class Measurement(Machine, CsvRow):
    """A row of a run, with what all rows of that run share."""

    model: str
    clips: str
    run: str  # when it began, UTC
    complete: bool  # the whole work, and everything that takes part by default


Kind = TypeVar("Kind", bound=CsvRow)
Run = TypeVar("Run", bound=Measurement)


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median of one's throughput by the other's over the rounds that both took part in, from the first on."""
    return statistics.median(mine / theirs for mine, theirs in zip(one, other, strict=False))


def append(path: Path, records: Iterable[CsvRow]) -> None:
    """Adds rows to a CSV; one written with other columns is refused, not mixed up.

    Raises:
        MeasureError: names the file.
    """
    rows = list(records)
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    columns, new = rows[0].columns(), not path.exists()
    if not new:
        with path.open(newline="", encoding="utf-8") as file:
            found = next(csv.reader(file), [])
        if set(found) != set(columns):
            raise MeasureError(f"{path} has other columns than this version writes: move it away")
        columns = found
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(row.model_dump() for row in rows)


def read(path: Path, kind: type[Kind]) -> list[Kind]:
    """All rows; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [kind.model_validate(row) for row in csv.DictReader(file)]


def newest(path: Path, kind: type[Run]) -> list[Run]:
    """The rows of the newest complete run; none where there is no such run."""
    rows = [row for row in read(path, kind) if row.complete]
    date = max((row.run for row in rows), default="")
    return [row for row in rows if row.run == date]


def save_json(content: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def load_json(path: Path, command: str) -> dict[str, Any]:
    """What `command` wrote.

    Raises:
        MeasureError: it has not; names the command.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise MeasureError(f"there is no {path}: `{command}` writes it") from None
    return content
