"""Runs a plan of requests and returns one record each; they are sent by `python -m measure.loadtest.worker`.

A process of its own, since locust rewires Python's sockets (gevent) for the process that imports it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from measure import ROOT
from measure.loadtest import LoadTestError
from measure.loadtest.target import Clip, Target

MOST_IN_FLIGHT = 1000  # unanswered requests; each holds a connection
NOT_SENT, UNANSWERED = "not_sent", "unanswered"  # codes of the generator's own


@dataclass(frozen=True)
class Record:
    """The outcome of one request. Times are in seconds from the start of the run.

    Attributes:
        scheduled: when the request should be sent; in a closed loop, when it was.
        sent, finished: when it was sent, and when its whole answer was received.
        status: of HTTP; 0 means no answer.
        clip, audio_seconds, url: what was sent where.
        label: the best label of the answer.
        error: a code, or None if the answer is well-formed.
        decode_ms, inference_ms, batch_size: where the answer's headers say them.
    """

    scheduled: float
    sent: float
    finished: float
    status: int
    clip: str
    audio_seconds: float
    url: str
    label: str | None = None
    error: str | None = None
    decode_ms: float | None = None
    inference_ms: float | None = None
    batch_size: int | None = None

    @property
    def latency(self) -> float:
        """Seconds from the scheduled send time, so that a late generator hides no wait (coordinated omission)."""
        return self.finished - self.scheduled

    @property
    def lag(self) -> float:
        """Seconds by which the generator sent it late."""
        return self.sent - self.scheduled

    @property
    def queue_ms(self) -> float | None:
        """The rest of the latency: the wait for a worker and for the batch, and the transport."""
        if self.decode_ms is None or self.inference_ms is None:
            return None
        return max(0.0, 1000 * self.latency - self.decode_ms - self.inference_ms)


@dataclass(frozen=True)
class Shot:
    time: float
    clip: Clip
    target: Target


@dataclass(frozen=True)
class Plan:
    """Everything to send, fixed before the run.

    Attributes:
        shots: in order of time.
        seconds: length of the run, without the wait for the last answers.
        callers: None for open arrivals. Else a closed loop: so many callers take the shots in order, each the next
            as soon as it has its answer, and the shots' times mean nothing.
        begin: when the run starts, of time.monotonic(), for two plans on one clock; None for as soon as it can.
    """

    shots: tuple[Shot, ...]
    seconds: float
    callers: int | None = None
    begin: float | None = None


def plan(
    clips: Sequence[Clip],
    targets: Sequence[Target],
    moments: Sequence[float],
    seconds: float,
    seed: int,
    callers: int | None = None,
) -> Plan:
    """Assign clips to send times: every clip once, in random order, before any is repeated; targets at random."""
    rng = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < len(moments):
        order += [int(index) for index in rng.permutation(len(clips))]
    choice = rng.integers(len(targets), size=len(moments))
    dealt = zip(moments, order, choice, strict=False)
    shots = tuple(Shot(moment, clips[clip], targets[target]) for moment, clip, target in dealt)
    return Plan(shots, seconds, callers)


def drive(
    plan: Plan,
    progress: Callable[[Record], None] = lambda _: None,
    enough: Callable[[], bool] = lambda: False,
    nice: int = 0,
) -> list[Record]:
    """Send everything and wait for the answers, at most the targets' timeout after the last shot.

    Args:
        progress: called with every record as it is received.
        enough: called after every record; True stops sending, and waits for what is in flight.
        nice: by how much the generator's priority is lower than ours.

    Returns:
        One record for each shot that was scheduled before the stop, in order of `scheduled`.

    Raises:
        LoadTestError: the worker failed.
    """
    records: list[Record] = []
    with tempfile.TemporaryFile("w+") as words, _worker(words, nice) as worker:
        assert worker.stdin
        assert worker.stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended: its exit code says so below
            worker.stdin.write(to_json(plan))
            worker.stdin.close()
        stopped = False
        for line in worker.stdout:
            record = Record(**json.loads(line))
            records.append(record)
            progress(record)
            if not stopped and (stopped := enough()):
                worker.terminate()  # the worker takes it as: send nothing more
        if worker.wait() != 0:
            from measure.command import (
                last_line,
            )  # here, not above: the worker reads this file too, and starts sooner

            words.seek(0)
            raise LoadTestError(f"the load generator failed: {last_line(words.read())}")
    return sorted(records, key=lambda record: record.scheduled)


@contextlib.contextmanager
def _worker(words: IO[str], nice: int) -> Any:
    paths = [str(ROOT), str(ROOT / "handler"), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [*(["nice", "-n", str(nice)] if nice else []), sys.executable, "-m", "measure.loadtest.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close() if stream else None


def to_json(plan: Plan) -> str:
    """The plan as the worker reads it."""
    return json.dumps(asdict(plan), default=str)  # the clips' paths


def from_json(text: str) -> Plan:
    """The inverse of `to_json`; by hand, as importing pydantic would delay each start of the worker."""
    content = json.loads(text)
    shots = (
        Shot(
            each["time"],
            Clip(**each["clip"] | {"path": Path(each["clip"]["path"])}),
            Target(**each["target"]),
        )
        for each in content["shots"]
    )
    return Plan(tuple(shots), content["seconds"], content["callers"], content["begin"])
