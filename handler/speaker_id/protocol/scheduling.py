"""Parameters by which Triton schedules a request: https://docs.nvidia.com/deeplearning/triton-inference-server/
user-guide/docs/protocol/extension_schedule_policy.html and extension_sequence.html.

Of these, `timeout` acts. All requests have one priority, and no request of a sequence depends on another: the others
are checked, and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speaker_id.errors import InvalidParameter
from speaker_id.protocol.outputs import flag
from speaker_id.protocol.values import shown
from speaker_id.settings import MAX_ID_CHARACTERS

PARAMETERS = ("priority", "timeout", "sequence_id", "sequence_start", "sequence_end")
MICROSECONDS = 1_000_000  # a second


def timeout(given: Mapping[str, Any]) -> float | None:
    """Return the seconds that a request may take; None for no limit of its own.

    Args:
        given: the request's parameters.

    Raises:
        InvalidParameter: one of PARAMETERS is not what the protocol says.
    """
    whole(given, "priority")
    check_sequence(given)
    microseconds = whole(given, "timeout")
    return microseconds / MICROSECONDS if microseconds else None


def whole(given: Mapping[str, Any], name: str) -> int:
    """Return a whole number; 0 and null mean that it is not given."""
    value = given.get(name)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value < 2**64:
        unit = " of microseconds" if name == "timeout" else ""
        raise InvalidParameter(f"{name} must be a whole number{unit} from 0 to 2^64 - 1, not {shown(value)}")
    return value


def check_sequence(given: Mapping[str, Any]) -> None:
    sequence = given.get("sequence_id")
    if isinstance(sequence, str):
        if len(sequence) > MAX_ID_CHARACTERS:
            raise InvalidParameter(
                f"sequence_id has {len(sequence)} characters; at most {MAX_ID_CHARACTERS} are accepted"
            )
    else:
        whole(given, "sequence_id")
    for name in ("sequence_start", "sequence_end"):
        if flag(given.get(name), name, False) and not sequence:
            raise InvalidParameter(f"{name} needs a sequence_id other than 0 and the empty text")
