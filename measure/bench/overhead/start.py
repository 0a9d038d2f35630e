"""How long a server takes until it is ready, and a worker until another has replaced it, by stage; and their memory.

Marks are what the system and the worker's own log say: when each process began, and the events `loading` (everything is
imported), `warming` (the model is loaded) and `ready`.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from measure import MeasureError
from measure.bench.null_server import Served, launched
from measure.bench.overhead.asking import ask_once, questions
from serving.host.polling import wait_until

PATIENCE = 120.0  # s, for a worker to be replaced
LOG_SECONDS = 10.0  # in which a line is written that was logged
EVENTS = ("loading", "warming", "ready")
START = (
    "serve's own imports and checks",
    "model server",
    "worker's imports",
    "load",
    "warm-up",
    "seen ready",
)
RESTART = ("process", "worker's imports", "load", "warm-up", "answer")


@dataclass
class Starts:
    """What one checkout was measured to do, a value a start."""

    name: str
    checkout: Path
    store: Path
    start: list[dict[str, float]] = field(default_factory=list)  # s, by stage of START
    restart: list[dict[str, float]] = field(default_factory=list)  # s, by stage of RESTART
    worker_cpu: list[float] = field(default_factory=list)  # s of the processor, until ready
    memory: list[dict[str, float]] = field(default_factory=list)  # MB


def measure(starts: Starts, model: str, server: str) -> None:
    """One start, one worker killed, one stop."""
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        began = time.time()
        with launched(starts.checkout, starts.name, starts.store, Path(folder) / "run", server) as it:
            seen = time.time()
            (parent,), (worker,) = it.processes("TorchServe", "Triton"), it.processes("worker")
            loading, warming, ready = events(Path(folder) / "run", worker.pid)
            marks = (began, created(parent), created(worker), loading, warming, ready, seen)
            starts.start.append(stages(START, marks))
            used = worker.cpu_times()
            starts.worker_cpu.append(used.user + used.system)
            ask_once(it.port, questions(model)["wav"])
            starts.memory.append(memory(worker))
            starts.restart.append(restarted(it, model, worker, Path(folder) / "run"))


def restarted(it: Served, model: str, worker: psutil.Process, run: Path) -> dict[str, float]:
    """Kill the worker, and send a request, which waits for the next one."""
    killed = time.time()
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, PATIENCE)
    ask_once(it.port, questions(model)["wav"])
    answered = time.time()
    (successor,) = it.processes("worker")
    loading, warming, ready = events(run, successor.pid)
    return stages(RESTART, (killed, created(successor), loading, warming, ready, answered))


def created(process: psutil.Process) -> float:
    """When a process began, in seconds since the epoch, to a hundredth: psutil knows the boot time to a second only."""
    after_boot = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + after_boot / os.sysconf("SC_CLK_TCK")


def stages(names: Sequence[str], marks: Sequence[float]) -> dict[str, float]:
    """Seconds from each mark to the next; an answer may be seen before the log's last line was written."""
    lasted = [max(0.0, after - before) for before, after in itertools.pairwise(marks)]
    return dict(zip(names, lasted, strict=True))


def events(run: Path, pid: int) -> list[float]:
    """When a worker was loading, warming and ready, in seconds since the epoch, from its log.

    Raises:
        MeasureError: it has not logged them all.
    """
    found: dict[str, float] = {}

    def complete() -> bool:
        for path in run.rglob("*.log"):
            for line in path.read_text("utf-8", "replace").splitlines():
                if f'"pid":{pid}' in line and line.startswith('{"time"'):
                    said = json.loads(line)
                    if said.get("pid") == pid and said.get("event") in EVENTS:
                        when = datetime.fromisoformat(said["time"].replace("Z", "+00:00"))
                        found[said["event"]] = when.timestamp()
        return len(found) == len(EVENTS)

    if not wait_until(complete, LOG_SECONDS):
        raise MeasureError(
            f"worker {pid} has logged no {', '.join(sorted(set(EVENTS) - set(found)))}: see {run}"
        )
    return [found[event] for event in EVENTS]


def memory(process: psutil.Process) -> dict[str, float]:
    """Resident MB of a process, and those that no other process shares."""
    info = process.memory_full_info()
    return {"resident": info.rss / 1e6, "its own": info.uss / 1e6}


def summary(all_starts: Sequence[Starts]) -> list[dict[str, Any]]:
    """A row a checkout: medians."""

    def medians(values: Sequence[dict[str, float]], total: str) -> dict[str, float]:
        named = {name: statistics.median(each[name] for each in values) for name in values[0]}
        return named | {total: statistics.median(sum(each.values()) for each in values)}

    return [
        {
            "server": starts.name,
            "start": medians(starts.start, "in all"),
            "restart": medians(starts.restart, "in all"),
            "worker CPU s": statistics.median(starts.worker_cpu),
            "memory": {
                name: statistics.median(each[name] for each in starts.memory) for name in starts.memory[0]
            },
        }
        for starts in all_starts
    ]
