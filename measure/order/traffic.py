"""One run: single clips at independent times, and beside them callers that send long work as fast as it is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from measure.loadtest import arrivals
from measure.loadtest.comparison import Run, milliseconds
from measure.loadtest.drive import Record, drive, plan
from measure.loadtest.target import Clip, Target
from measure.order.sounds import WINDOW_SECONDS

ALONE, WHOLE, SPLIT, RECORDING = CONDITIONS = (  # what is beside the single clips
    *("nothing", "64 clips, whole", "64 clips, split"),
    "a recording in windows",
)
LEAD_SECONDS = 2.0  # of the long work alone: it has filled what it fills by then
WINDOWS = {"X-Windows": f"{WINDOW_SECONDS:g}", "X-Top-K": "1"}


@dataclass(frozen=True)
class OrderRun(Run):
    """Figures of one run: latencies of the single clips, and requests of either kind that failed.

    Attributes:
        throughput: seconds of audio that were answered in a second, single clips and long work together.
    """

    throughput: float


@dataclass
class Bulk:
    """Callers that send one request again and again.

    Args:
        url: of inference.
        body, headers: of the request.
        callers: how many.

    Attributes:
        seconds: of audio that were answered.
        failed: answers other than 200.
    """

    url: str
    body: bytes
    headers: dict[str, str]
    callers: int
    seconds: float = 0.0
    failed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, over: Callable[[], bool]) -> None:
        """One caller's requests, until it is over and the last one is answered."""
        with session() as opened:
            while not over():
                try:
                    answer = opened.post(self.url, self.body, headers=self.headers, timeout=600)
                    seconds = float(answer.headers.get("x-audio-seconds", 0)) if answer.ok else 0.0
                except requests.RequestException:
                    seconds = 0.0
                with self._lock:
                    self.seconds += seconds
                    self.failed += not seconds
                if not seconds:
                    time.sleep(0.1)  # it is refused: the rest of a run is no storm of requests


def session() -> requests.Session:
    """Connections to a server on this machine, which no proxy reaches."""
    opened = requests.Session()
    opened.trust_env = False
    return opened


def run(
    condition: str,
    number: int,
    url: str,
    clips: Sequence[Clip],
    rate: float,
    seconds: float,
    bulk: Bulk | None,
) -> OrderRun:
    """Send both, and wait for all answers.

    Args:
        number: of the round; it seeds the single clips' times.
        rate: of single clips, a second.
        seconds: for which they are sent.
        bulk: the long work; None for none.
    """
    over = threading.Event()
    with ThreadPoolExecutor(max(1, bulk.callers if bulk else 1)) as pool:
        began = time.monotonic()
        sending = [pool.submit(bulk.send, over.is_set) for _ in range(bulk.callers)] if bulk else []
        try:
            if bulk:
                time.sleep(LEAD_SECONDS)
            moments = arrivals.times("poisson", rate, seconds, number)
            single = drive(plan(clips, [Target(url)], moments, seconds, number))
        finally:
            over.set()
        for each in sending:
            each.result()
        passed = time.monotonic() - began
    return figures(condition, number, single, bulk, passed)


def figures(
    condition: str, number: int, single: Sequence[Record], bulk: Bulk | None, passed: float
) -> OrderRun:
    """What one run shows.

    Args:
        passed: seconds from its start to its last answer.
    """
    answered = sum(each.audio_seconds for each in single if each.error is None)
    return OrderRun(
        condition=condition,
        round=number,
        latencies=milliseconds(each.latency for each in single if each.error is None),
        failed=sum(each.error is not None for each in single) + (bulk.failed if bulk else 0),
        throughput=round((answered + (bulk.seconds if bulk else 0.0)) / passed, 2),
    )
