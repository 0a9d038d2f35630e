"""The clips of an archive, and the file of their answers, which a later run continues."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from clients import identify

BEGINNING = b'{"clip": '  # of every line of answers


class BatchError(Exception):
    """The run cannot go on; the message is one line."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Entry:
    """A clip: its name in the answers, and its file."""

    name: str
    path: Path


def entries(source: Path) -> list[Entry]:
    """The audio files below a folder by their paths in it, or the files that a list names, relative to the list.

    A list is CSV: the column `clip`, `path` or `file`, else the first. A name that stands twice counts once.

    Raises:
        BatchError: there is no such folder or list, or no clip in it.
    """
    if source.is_dir():
        files = sorted(Path(name) for name in identify.clips([str(source)]))
        found = [Entry(str(path.relative_to(source)), path) for path in files]
    elif source.is_file():
        found = [Entry(name, source.parent / name) for name in dict.fromkeys(_listed(source))]
    else:
        raise BatchError(f"there is no folder or list {source}")
    if not found:
        raise BatchError(f"no audio files in {source}")
    return found


def _listed(source: Path) -> Iterator[str]:
    with source.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if row and row[0]]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column, first = next(
        ((header.index(name), 1) for name in ("clip", "path", "file") if name in header), (0, 0)
    )
    for number, row in enumerate(rows[first:], first + 1):
        if len(row) <= column:
            raise BatchError(
                f"{source}: row {number} has {len(row)} columns, and the clip should be in {(column or 0) + 1}"
            )
        yield row[column or 0].strip()


class Answers:
    """The file of answers: lines that an earlier run wrote, and those of this run, each written whole.

    Args:
        path: the file; a last line without an end is of a run that was killed, and is removed. Of another file
            nothing is.
        model: whose answers they are.

    Raises:
        BatchError: another run writes to it, it holds another model's answers, or something else.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.path, self.model, self.done, self.failed = path, model, set[str](), 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file: IO[bytes] = path.open("a+b")
        try:
            self._reserve()
            self._read_all()
        except BaseException:
            self._file.close()
            raise

    def _read_all(self) -> None:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if line.endswith(b"\n"):
                whole += len(line)
                self._read(line, number)
            elif not (line.startswith(BEGINNING) or BEGINNING.startswith(line)):
                raise self._foreign(number)
        self._file.truncate(whole)

    def _reserve(self) -> None:
        with contextlib.suppress(ImportError):  # not on Windows
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                raise BatchError(f"another run writes to {self.path}") from exc

    def _read(self, line: bytes, number: int) -> None:
        try:
            record = json.loads(line)
            name, model = record["clip"], record["model"]
        except (ValueError, KeyError, TypeError) as exc:
            raise self._foreign(number) from exc
        if model != self.model:
            raise BatchError(f"{self.path} has answers of {model}, not of {self.model}: name another file")
        self.done.add(name)
        self.failed += "error" in record

    def _foreign(self, number: int) -> BatchError:
        return BatchError(f"{self.path}: line {number} is no answer of an earlier run: name another file")

    def add(self, entry: Entry, record: dict[str, Any]) -> None:
        line = json.dumps({"clip": entry.name, "model": self.model, **record}, ensure_ascii=False)
        with self._lock:
            self._file.write(line.encode("utf-8", "surrogateescape") + b"\n")
            self._file.flush()
            self.done.add(entry.name)
            self.failed += "error" in record

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
