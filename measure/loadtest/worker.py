"""The load generator: a plan on stdin, one record a line on stdout as it is received. SIGTERM stops sending.

One greenlet an arrival, each with a locust user of its own, and so a connection of its own; users that have their
answer are reused, the latest first, so that there are as many connections as there are requests in flight.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()  # before anything else is imported that opens a socket

# ruff: noqa: E402
import gc
import itertools
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import gevent
import requests
from gevent.event import Event
from gevent.pool import Group
from locust import HttpUser
from locust.env import Environment

from clients.identify import LOOPBACK
from measure import MeasureError, answer
from measure.loadtest.drive import MOST_IN_FLIGHT, NOT_SENT, UNANSWERED, Plan, Shot, from_json
from measure.loadtest.target import OVER_GRPC, encode

if TYPE_CHECKING:
    from measure.loadtest.grpc_stub import Channel

CONNECT_SECONDS = 5.0
LEAD_SECONDS = 0.1  # between the worker's being ready and the first send time
GRACE_SECONDS = 1.0  # beyond the timeout, for the timeout itself to be reported


Key = tuple[str, str, str, tuple[tuple[str, str], ...]]  # URL, form, clip, headers
Outcome = dict[str, Any]  # of a request: what a record has beside the plan


class Caller(HttpUser):
    """A user with one `requests` session; never run by locust's own scheduler, which is a closed loop."""

    host = "http://unused"  # every request has its whole URL
    abstract = True


class Generator:
    """Sends a plan's shots and prints their records."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.environment = Environment(user_classes=[], catch_exceptions=False)
        self.idle: list[Caller] = []
        self.in_flight = Group()
        self.unfinished: dict[int, tuple[Shot, float, float]] = {}
        self.stopping = Event()
        self.bodies = self._bodies()
        self.channels = self._channels()
        ready = time.monotonic()
        self.start = plan.begin or ready + LEAD_SECONDS
        if self.start < ready:
            raise MeasureError(
                f"the load generator was ready {ready - self.start:.1f} s after the run's start"
            )

    def run(self) -> None:
        """Send the whole plan and wait for the last answers."""
        if self.plan.callers is None:
            self._open()
        else:
            self._closed(self.plan.callers)
        left = 0.0 if self.plan.callers is None or self.stopping.is_set() else self.plan.seconds - self.now()
        patience = max((shot.target.timeout for shot in self.plan.shots), default=0.0)
        self.in_flight.join(timeout=left + patience + GRACE_SECONDS)
        for shot, due, sent in list(self.unfinished.values()):
            self._report(shot, due, sent, error=UNANSWERED)

    def now(self) -> float:
        return time.monotonic() - self.start

    def _open(self) -> None:
        for number, shot in enumerate(self.plan.shots):
            if self.stopping.wait(max(0.0, shot.time - self.now())):
                return
            if len(self.in_flight) >= MOST_IN_FLIGHT:
                self._report(shot, shot.time, self.now(), error=NOT_SENT)
            else:
                self.in_flight.spawn(self._fire, number, shot)

    def _closed(self, callers: int) -> None:
        shots = itertools.takewhile(
            lambda _: self.now() < self.plan.seconds and not self.stopping.is_set(),
            enumerate(self.plan.shots),
        )
        for _ in range(callers):
            self.in_flight.spawn(self._loop, shots)

    def _loop(self, shots: Iterator[tuple[int, Shot]]) -> None:
        for number, shot in shots:
            self._fire(number, shot)

    def _fire(self, number: int, shot: Shot) -> None:
        sent = self.now()
        due = shot.time if self.plan.callers is None else sent
        self.unfinished[number] = (shot, due, sent)
        outcome = self._call(shot) if shot.target.form in OVER_GRPC else self._post(shot)
        self._report(shot, due, sent, **outcome)
        del self.unfinished[number]

    def _post(self, shot: Shot) -> Outcome:
        url, (body, headers) = shot.target.url, self.bodies[key(shot)]
        user = self.idle.pop() if self.idle else Caller(self.environment)  # type: ignore[no-untyped-call]
        user.client.trust_env = urlsplit(url).hostname not in LOOPBACK  # no proxy reaches this machine
        # which `requests` forgets where it asks no proxy
        user.client.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        timeout = (CONNECT_SECONDS, shot.target.timeout)
        response = user.client.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False)
        finished, status = self.now(), response.status_code
        self.idle.append(user)
        if not status:
            late = isinstance(response.error, requests.Timeout)
            return {"finished": finished, "status": 0, "error": "timeout" if late else "unreachable"}
        label, error = answer.read(status, response.content)
        timings = answer.timings(response.headers)
        return {"finished": finished, "status": status, "label": label, "error": error, **timings}

    def _call(self, shot: Shot) -> Outcome:
        status, content = self.channels[shot.target.url].predict(self.bodies[key(shot)][0], shot.target)
        finished = self.now()
        label, error = answer.read(status, content) if status else (None, content.decode())
        return {"finished": finished, "status": status, "label": label, "error": error}

    def _report(self, shot: Shot, due: float, sent: float, **outcome: object) -> None:
        record = {
            **{"scheduled": due, "sent": sent, "finished": self.now(), "status": 0},
            **{"clip": shot.clip.name, "audio_seconds": shot.clip.seconds, "url": shot.target.url},
            **outcome,
        }
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()

    def _bodies(self) -> dict[Key, tuple[bytes, dict[str, str]]]:
        """Every distinct request, encoded before the clock starts."""
        content = cache(Path.read_bytes)
        distinct = {key(shot): shot for shot in self.plan.shots}
        return {
            each: encode(shot.target, shot.clip, content(shot.clip.path)) for each, shot in distinct.items()
        }

    def _channels(self) -> dict[str, Channel]:
        addresses = {
            shot.target.url: shot.target.form for shot in self.plan.shots if shot.target.form in OVER_GRPC
        }
        if not addresses:
            return {}
        from measure.loadtest.grpc_stub import Channel  # here, as it hooks gRPC's core into gevent

        return {address: Channel(address, form) for address, form in addresses.items()}


def key(shot: Shot) -> Key:
    return shot.target.url, shot.target.form, shot.clip.name, tuple(shot.target.headers.items())


def main() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_IN_FLIGHT  # sockets, and what the libraries keep open
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard >= 0 else wanted, hard))
    try:
        generator = Generator(from_json(sys.stdin.read()))
        gevent.signal_handler(signal.SIGTERM, generator.stopping.set)
        gc.freeze()  # the plan and its bodies stay: no collection need look at them
        generator.run()
    except (MeasureError, OSError, ValueError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
