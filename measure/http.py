"""Requests to a server on this machine, and its replies."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import requests
from urllib3.exceptions import NewConnectionError

TIMEOUT = 60.0  # s for an answer
REFUSED = "refused"  # nothing listens on the port


@dataclass(frozen=True)
class Reply:
    """The reply to one request. Times are of time.monotonic().

    Attributes:
        status: of HTTP; 0 means no answer.
        failure: why there is no answer, in a word or two.
        headers: names in any case.
    """

    sent: float
    finished: float
    status: int = 0
    body: bytes = b""
    failure: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Status, and the failure or the beginning of the body."""
        return f"{self.status} {self.failure or self.body[:200].decode('utf-8', 'replace')}"


class Sender:
    """Sends to one address, with one kept connection a thread, as the caller whose token is given."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._threads = threading.local()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._send("POST", path, body, headers)

    def get(self, path: str) -> Reply:
        return self._send("GET", path, b"", {})

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        session = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            session.trust_env = False  # no proxy reaches this machine
        sent = time.monotonic()
        try:
            answer = session.request(
                method, self.url + path, data=body, headers=self._headers | dict(headers), timeout=TIMEOUT
            )
        except requests.RequestException as exc:
            return Reply(sent, time.monotonic(), failure=reason(exc))
        return Reply(sent, time.monotonic(), answer.status_code, answer.content, "", answer.headers)


def reason(exc: requests.RequestException) -> str:
    if isinstance(exc, requests.ReadTimeout):
        return "timeout"
    inner = getattr(exc.args[0], "reason", None) if exc.args else None
    return REFUSED if isinstance(inner, NewConnectionError) else "broken connection"
