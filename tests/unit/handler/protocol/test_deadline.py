"""Until when a request is worth working on."""

from __future__ import annotations

import pytest
from speaker_id.errors import InvalidParameter
from speaker_id.protocol import Payload, deadline


def payload(received: float | None = None, within: float | None = None, **headers: str) -> Payload:
    return Payload(
        {"body": b"x"}, {name.replace("_", "-"): v for name, v in headers.items()}, "", received, within
    )


def test_without_a_moment_to_count_from_there_is_none() -> None:
    assert deadline(payload(None, 60.0, X_Request_Timeout="5")) is None


def test_without_a_limit_there_is_none() -> None:
    assert deadline(payload(1000.0)) is None


def test_it_counts_from_the_moment_the_server_received_the_request() -> None:
    assert deadline(payload(1000.0, None, x_request_timeout="2.5")) == 1002.5


@pytest.mark.parametrize(
    ("within", "asked", "seconds"), [(60.0, "5", 5), (60.0, "300", 60), (60.0, None, 60)]
)
def test_the_shorter_of_the_callers_and_the_servers_limit_holds(
    within: float, asked: str | None, seconds: float
) -> None:
    headers = {"X_REQUEST_TIMEOUT": asked} if asked else {}
    assert deadline(payload(1000.0, within, **headers)) == 1000.0 + seconds


@pytest.mark.parametrize("asked", ["soon", "", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused_by_name(asked: str) -> None:
    with pytest.raises(InvalidParameter, match="X-Request-Timeout must be a number of seconds above 0"):
        deadline(payload(1000.0, None, X_Request_Timeout=asked))


@pytest.mark.parametrize(
    ("within", "asked", "timeout"), [(60.0, "5", 4.0), (4.0, "5", 60.0), (60.0, "4", 5.0)]
)
def test_the_shortest_of_three_limits_holds(within: float, asked: str, timeout: float) -> None:
    assert deadline(payload(1000.0, within, X_Request_Timeout=asked), timeout) == 1004.0


def test_that_of_the_body_holds_alone() -> None:
    assert deadline(payload(1000.0), 2.5) == 1002.5
    assert deadline(payload(None), 2.5) is None
