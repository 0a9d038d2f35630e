"""When an answer is of no more use: the caller has given up, or whoever passed the request on has."""

from __future__ import annotations

import math

from speaker_id.errors import InvalidParameter
from speaker_id.protocol import values
from speaker_id.protocol.request import Payload

HEADER = "x-request-timeout"


def deadline(payload: Payload) -> float | None:
    """Seconds since the epoch after which a request is not worked on; None for as long as it takes.

    The caller's header X-Request-Timeout says how many seconds it waits, from the moment the server received the
    request. The server's own limit holds where it is shorter.

    Raises:
        InvalidParameter: the header is no positive number.
    """
    if payload.received is None:
        return None
    asked = next((value for name, value in payload.headers.items() if name.lower() == HEADER), None)
    limits = [limit for limit in (payload.within, seconds(asked)) if limit is not None]
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
