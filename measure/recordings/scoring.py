"""Reference and answers → errors in seconds, by pyannote.metrics in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from measure import ROOT, MeasureError, command, environment
from measure.recordings.joined import Joined

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SCRIPT = Path(__file__).with_name("score.py")
ENVIRONMENT = ROOT / "build" / "recordings"
UNKNOWN = "unknown"


class Errors(BaseModel):
    """Of one recording, in seconds.

    Attributes:
        total: of known voices; the others but `false_alarm` are parts of it.
        correct: called by their names.
        confusion: called by another's.
        missed: called unknown.
        false_alarm: of strangers, called by a name.
    """

    model_config = ConfigDict(frozen=True)

    total: float
    correct: float
    confusion: float
    missed: float
    false_alarm: float


def scored(
    recordings: Sequence[Joined], answers: Sequence[Sequence[dict[str, Any]]], collar: float
) -> list[Errors]:
    """Return the errors of each recording.

    Args:
        recordings: with their references.
        answers: the turns that the server gave of each.
        collar: seconds around each change of the reference, half before and half after it, that do not count.

    Raises:
        Unavailable: pyannote.metrics cannot be installed.
        MeasureError: it fails.
    """
    questions = [
        {
            "seconds": recording.seconds,
            "reference": [turn for turn in recording.turns if turn.label is not None],
            "hypothesis": [
                (turn["start"], turn["end"], turn["label"]) for turn in turns if turn["label"] != UNKNOWN
            ],
            "collar": collar,
        }
        for recording, turns in zip(recordings, answers, strict=True)
    ]
    python = environment.python(
        ENVIRONMENT, REQUIREMENTS, behind=sysconfig.get_path("purelib"), options=["--no-deps"]
    )
    done = subprocess.run([python, SCRIPT], input=json.dumps(questions), capture_output=True, text=True)
    if done.returncode != 0:
        raise MeasureError(f"pyannote.metrics failed: {command.last_line(done.stderr)}")
    return [Errors.model_validate(each) for each in json.loads(done.stdout)]


def rate(errors: Sequence[Errors], *names: str) -> float:
    """The sum of these errors, as a share of the known voices' time."""
    wrong: float = sum(getattr(each, name) for each in errors for name in names)
    return wrong / sum(each.total for each in errors)
