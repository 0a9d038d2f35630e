"""What a request costs beside the encoder: requests a second, and CPU ms by process and by stage of the worker."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure.bench.null_server import KINDS, Served, serving
from measure.bench.null_stages import REQUESTS, STAGES, TRANSFER, VARIABLE
from measure.bench.overhead.asking import Question, at_once
from measure.bench.overhead.checkout import OTHER, THIS, Checkout
from measure.command import Say
from measure.results import ratio


@dataclass
class Cost:
    """One checkout's server and one kind of request at one number of connections; a value a round."""

    rates: list[float] = field(default_factory=list)  # requests/s
    cpu: list[dict[str, float]] = field(default_factory=list)  # ms a request, by kind of process
    stages: list[dict[str, float]] = field(default_factory=list)  # of a worker's main thread, ms a request


@dataclass(frozen=True)
class Measured:
    """A server that runs, and the folder in which its workers say how long their stages took."""

    name: str
    server: Served
    folder: Path

    def stages(self) -> dict[str, float]:
        """Seconds so far by stage, and requests, of all workers."""
        total = dict.fromkeys((*STAGES, TRANSFER, REQUESTS), 0.0)
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(ValueError):  # it is being written
                for name, value in json.loads(path.read_text()).items():
                    total[name] += value
        return total


@contextlib.contextmanager
def measured(checkout: Checkout, full: bool, server: str) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory(prefix="stages-") as folder:
        os.environ[VARIABLE] = folder
        with serving(checkout.path, checkout.name, full, server) as it:
            yield Measured(checkout.name, it, Path(folder))


def measure(it: Measured, question: Question, connections: int, seconds: float, cost: Cost) -> None:
    used, stages = it.server.processor_seconds(), it.stages()
    count, took = at_once(it.server.port, question, connections, seconds)
    after, later = it.server.processor_seconds(), it.stages()
    cost.rates.append(count / took)
    cost.cpu.append({kind: 1e3 * (after[kind] - used[kind]) / count for kind in KINDS})
    if requests := later[REQUESTS] - stages[REQUESTS]:
        cost.stages.append(
            {name: 1e3 * (later[name] - stages[name]) / requests for name in (TRANSFER, *STAGES)}
        )


@dataclass(frozen=True)
class Plan:
    """What is asked: each question by each number of callers, for so many seconds in each round."""

    questions: Mapping[str, Question]
    connections: Sequence[int]
    rounds: int
    seconds: float


def run(plan: Plan, checkouts: Sequence[Checkout], full: bool, server: str, say: Say) -> list[dict[str, Any]]:
    """A row a checkout, kind of request and number of connections: medians over the rounds."""
    found: dict[tuple[str, str, int], Cost] = {}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(measured(each, full, server)) for each in checkouts]
        for number in range(plan.rounds + 1):
            for name, question in plan.questions.items():
                for callers in plan.connections:
                    for it in servers if number % 2 else servers[::-1]:
                        cost = found.setdefault((it.name, name, callers), Cost())
                        if number:
                            measure(it, question, callers, plan.seconds, cost)
                        else:
                            measure(it, question, callers, min(1.0, plan.seconds), Cost())  # warms up
            say(f"round {number} of {plan.rounds}")
    return [row(key, cost, found) for key, cost in found.items()]


def row(key: tuple[str, str, int], cost: Cost, found: dict[tuple[str, str, int], Cost]) -> dict[str, Any]:
    server, name, callers = key
    other = found.get((OTHER, name, callers)) if server == THIS else None
    return {
        "request": name,
        "connections": callers,
        "server": server,
        "requests/s": statistics.median(cost.rates),
        "CPU ms": statistics.median(sum(each.values()) for each in cost.cpu),
        "by process": medians(cost.cpu),
        "by stage": medians(cost.stages),
        "by other": ratio(cost.rates, other.rates) if other else None,
    }


def medians(values: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in values) for name in values[0]} if values else {}
