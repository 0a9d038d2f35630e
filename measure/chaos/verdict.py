"""The verdict on an answer: right, an honest error that may be retried, lost, or wrong."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from enum import Enum
from typing import Any

from measure import ROOT
from measure.answer import parsed
from measure.http import REFUSED, Reply

HONEST = {429, 500, 503, 504, 507}  # statuses that tell a caller that the clip was not at fault
SCORE_TOLERANCE = 1e-3  # a clip's logits agree to 1e-4 of their spread whatever is in its batch
LEAK = re.compile(
    "|".join(
        [
            r"Traceback",
            r"\.py\b",
            r"\.java\b",
            r"\b(?:java|io\.netty|org\.pytorch)\.",
            r"[Ss]tub process",
            r"\n",
        ]
        + [re.escape(path) for path in {str(ROOT), sys.prefix, tempfile.gettempdir() + "/"}]
    )
)

Scores = Mapping[str, float]  # label → score


class Verdict(Enum):
    RIGHT = "right"
    RETRYABLE = "retryable"
    LOST = "lost"
    WRONG = "wrong"


def judge(reply: Reply, expected: Scores, down: bool = False) -> Verdict:
    """The verdict on the answer to a correct clip.

    Args:
        reply: what was received.
        expected: what the undisturbed server says of every label.
        down: whether the whole server was known to be down while this request was under way.
    """
    if reply.status == 0:
        # nobody listens: honest where the whole server is down, otherwise a loss
        return Verdict.RETRYABLE if down and reply.failure == REFUSED else Verdict.LOST
    if reply.status in HONEST:
        return Verdict.RETRYABLE if error(reply.body) else Verdict.WRONG
    if reply.status != 200:  # any other error blames a correct clip
        return Verdict.WRONG
    return Verdict.RIGHT if equal(scores(reply.body), expected) else Verdict.WRONG


def error(body: bytes) -> tuple[str, str] | None:
    """Code and message of an error that has our shape and reveals nothing of the server's internals; otherwise None."""
    content = parsed(body)
    if not isinstance(content, dict) or not set(content) <= {"error", "code", "instance"}:
        return None
    code, message = content.get("code"), content.get("error")
    if not (isinstance(code, str) and isinstance(message, str) and message) or LEAK.search(message):
        return None
    return code, message


def scores(body: bytes) -> Scores | None:
    """A ranking's labels with their scores, best first; None if the body is no ranking."""
    return ranked(parsed(body))


def ranked(content: Any) -> Scores | None:
    """The same of a ranking as JSON has it."""
    try:
        return {str(entry["label"]): float(entry["score"]) for entry in content} or None
    except (ValueError, TypeError, KeyError):
        return None


def equal(found: Scores | None, expected: Scores) -> bool:
    """The same best label, and every label's score within the tolerance."""
    if found is None or found.keys() != expected.keys():
        return False
    best = max(expected, key=lambda label: expected[label])
    near = all(abs(found[label] - expected[label]) <= SCORE_TOLERANCE for label in expected)
    return near and max(found, key=lambda label: found[label]) == best
