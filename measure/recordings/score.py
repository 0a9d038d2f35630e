"""Identification error of recordings, by pyannote.metrics: JSON on standard input → JSON on standard output.

Runs in an environment of its own (`requirements.txt`), so it imports nothing of this repository.

    [{"seconds": 120.0, "reference": [[0.0, 7.5, "anna"], …], "hypothesis": [[0.0, 6.0, "anna"], …], "collar": 0.0}, …]
    [{"total": 80.0, "correct": 70.0, "confusion": 2.0, "missed": 8.0, "false_alarm": 5.0}, …]      seconds
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.identification import IdentificationErrorRate

NAMES = {"total": "total", "correct": "correct", "confusion": "confusion", "missed": "missed detection"}
NAMES |= {"false_alarm": "false alarm"}


def annotation(turns: list[Any]) -> Any:
    """Turns of known voices; what is not among them is nobody's."""
    found = Annotation()
    for number, (start, end, label) in enumerate(turns):
        found[Segment(start, end), number] = label
    return found


def score(recording: dict[str, Any]) -> dict[str, float]:
    metric = IdentificationErrorRate(collar=recording["collar"])
    detail = metric(
        annotation(recording["reference"]),
        annotation(recording["hypothesis"]),
        uem=Timeline([Segment(0, recording["seconds"])]),
        detailed=True,
    )
    return {name: float(detail[theirs]) for name, theirs in NAMES.items()}


if __name__ == "__main__":
    json.dump([score(each) for each in json.load(sys.stdin)], sys.stdout)
