"""When an answer is no longer useful: the caller has given up, or the gateway that forwarded the request has."""

from __future__ import annotations

import math

from speaker_id.errors import InvalidParameter
from speaker_id.protocol import values
from speaker_id.protocol.request import Payload

HEADER = "x-request-timeout"


def deadline(payload: Payload, timeout: float | None = None) -> float | None:
    """Return when a request expires, in seconds since the epoch; None if it never does.

    The caller's header X-Request-Timeout says how many seconds it waits, counted from when the server received the
    request. The shortest of it, the body's own and the server's applies.

    Args:
        payload: headers, and what the server says.
        timeout: seconds that the body gives.

    Raises:
        InvalidParameter: the header is not a positive number.
    """
    if payload.received is None:
        return None
    asked = seconds(payload.headers.get(HEADER))
    limits = [limit for limit in (payload.within, asked, timeout) if limit is not None]
    return payload.received + min(limits) if limits else None


def seconds(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise InvalidParameter(
            f"X-Request-Timeout must be a number of seconds above 0, not {values.shown(value)}"
        )
    return number
