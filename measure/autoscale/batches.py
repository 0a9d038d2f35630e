"""Records of a load test → the batches that the worker took, and how long each occupied it."""

from __future__ import annotations

import csv
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure.loadtest.drive import Record


@dataclass(frozen=True)
class Batch:
    """One batch of one worker, as seen by its callers.

    Attributes:
        clips: seconds of audio of each request.
        seconds: from the moment that the worker could begin (its previous batch was answered, or the first request was
            sent) until the answers.
        waited_for: whether requests waited for the worker; else the worker waited, and `seconds` holds the requests'
            way to it as well.
    """

    clips: tuple[float, ...]
    seconds: float
    waited_for: bool


def batches(records: Sequence[Record]) -> list[Batch]:
    """Groups answers into batches: neighbours in time that report the same batch size and inference time.

    Needs a single worker, whose batches follow each other. A group with fewer answers than its batch size is left out,
    and so is the batch after it, whose beginning is then unknown.
    """
    known = (it for it in records if it.error is None and it.batch_size)
    answered = sorted(known, key=lambda it: it.finished)
    found: list[Batch] = []
    previous: float | None = None
    for (size, _), members in itertools.groupby(answered, key=lambda it: (it.batch_size, it.inference_ms)):
        group = list(members)
        finished = statistics.median(record.finished for record in group)
        whole = len(group) == size
        if whole and previous is not None:
            first = min(record.sent for record in group)
            begin = max(previous, first)
            clips = tuple(record.audio_seconds for record in group)
            if finished > begin:
                found.append(Batch(clips, finished - begin, waited_for=first < previous))
        previous = finished if whole else None
    return found


def write_batches(found: Sequence[Batch], path: Path) -> None:
    """What was fitted, a row a batch."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("clips_s", "seconds", "waited_for"))
        for batch in found:
            clips = " ".join(f"{clip:.2f}" for clip in batch.clips)
            writer.writerow((clips, f"{batch.seconds:.5f}", int(batch.waited_for)))
