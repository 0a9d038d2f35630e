"""Every answer on disk as soon as it is received: JSON lines, so that a killed run resumes where it stopped.

The first line says what was asked: the model, its version, how it was reached, and its answer to a probe, which tells
different weights under one version apart. Each further line is one clip under one condition.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from io import BufferedWriter
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from measure.evaluation import EvaluationError

Ranking = list[tuple[str, float]]  # (label, score), best first

SAME_PROBE = 1e-2  # of a logit: other processors and precisions stay below it, other weights do not


@dataclass(frozen=True)
class Identity:
    """What answers.

    Attributes:
        model: the name it is served under.
        version: as the server states it.
        through: "endpoint" or "local".
        probe: its best logits on a fixed second of noise.
    """

    model: str
    version: str
    through: str
    probe: Ranking

    def is_same(self, other: Identity) -> bool:
        return replace(self, probe=other.probe) == other and same_probe(self.probe, other.probe)


def same_probe(one: Ranking, other: Ranking) -> bool:
    """Whether every label that both list has about the same logit; two with no label in common differ."""
    ours, theirs = dict(one), dict(other)
    shared = ours.keys() & theirs.keys()
    return bool(shared) and all(
        math.isclose(ours[label], theirs[label], rel_tol=SAME_PROBE, abs_tol=SAME_PROBE) for label in shared
    )


@dataclass(frozen=True)
class Entry:
    """The outcome of one clip under one condition.

    Attributes:
        clip, condition: what was asked.
        size: of the clip's file in bytes; another size is another recording.
        ranking: the answer; empty for a failure.
        error: code and message of a failure; None for an answer.
        seconds: until the answer was there.
    """

    clip: str
    condition: str
    size: int
    ranking: Ranking
    error: tuple[str, str] | None = None
    seconds: float = 0.0


HEADER, ENTRY = TypeAdapter(Identity), TypeAdapter(Entry)


class Journal:
    """One model's answers, one corpus; in a file that one evaluation at a time may write.

    Attributes:
        entries: by clip and condition; a later line replaces an earlier one.
    """

    def __init__(self, file: BufferedWriter, entries: dict[tuple[str, str], Entry]) -> None:
        self._file = file
        self.entries = entries

    def add(self, entry: Entry) -> None:
        """Flushed to the operating system before this returns: a killed process loses nothing."""
        self._write(asdict(entry))
        self.entries[entry.clip, entry.condition] = entry

    def answered(self, clip: str, condition: str, size: int) -> bool:
        """Whether there is an answer already. A failure does not count: it is tried again."""
        entry = self.entries.get((clip, condition))
        return entry is not None and entry.error is None and entry.size == size

    def _write(self, content: dict[str, Any]) -> None:
        self._file.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
        self._file.flush()


@contextmanager
def journal(path: Path, identity: Identity) -> Iterator[Journal]:
    """Open or begin the journal.

    Raises:
        EvaluationError: another evaluation is writing it, another model wrote it, or it is no journal.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{path}.lock", timeout=0), path.open("ab") as file:
            end, header, entries = read(path)
            file.truncate(end)  # a killed run may leave half a line
            if header is not None and not identity.is_same(header):
                raise EvaluationError(
                    f"{path} was written by another {identity.model} {identity.version}: it answers the probe with "
                    f"{header.probe[0]}, this one with {identity.probe[0]}; delete the file, or choose another OUT="
                )
            opened = Journal(file, entries)
            if header is None:
                opened._write(asdict(identity))
            yield opened
    except Timeout as exc:
        raise EvaluationError(
            f"another evaluation is writing {path}: wait for it, or choose another OUT="
        ) from exc


def read(path: Path) -> tuple[int, Identity | None, dict[tuple[str, str], Entry]]:
    """Where the whole lines end, the header, and the entries."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    header: Identity | None = None
    entries: dict[tuple[str, str], Entry] = {}
    for number, line in enumerate(content[:end].splitlines(), 1):
        try:
            if header is None:
                header = HEADER.validate_json(line)
                continue
            entry = ENTRY.validate_json(line)
        except ValueError as exc:
            raise EvaluationError(
                f"{path}, line {number} is not an evaluation's: delete the file, or choose another OUT="
            ) from exc
        entries[entry.clip, entry.condition] = entry
    return end, header, entries
