"""One fault: the load meanwhile, when it began, when the server had recovered, and which expectations failed."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from measure.chaos.load import KnownClip, Load
from measure.chaos.server import Server
from measure.chaos.verdict import Verdict
from measure.http import Reply
from serving.host.polling import wait_until

RECOVERY_SECONDS = 90.0  # longer counts as no recovery
MATES = 7  # clips beside one that misbehaves: a full batch with it
SETTLED = 3  # right answers before anything is done to the server


@dataclass(frozen=True)
class Size:
    """How much of everything, in the long form or the short one."""

    minutes: float = 30.0
    kills: int = 3
    bodies: int = 2000
    callers: int = 100
    bursts: int = 3
    every: int = 1  # which of the hostile clips: all, or one in so many


SHORT = Size(minutes=5 / 60, kills=1, bodies=200, callers=20, bursts=1, every=4)


@dataclass(frozen=True)
class Fault:
    """A fault by name; `cause` makes it, waits for its end, and gives what is worth telling about it.

    Attributes:
        model: that the clips are sent to meanwhile.
        unnoticed: whether callers may not even see an honest error.
        quick: whether the short form has it too.
        rate: clips a second.
    """

    name: str
    model: str
    cause: Callable[[Scene], str]
    unnoticed: bool = True
    quick: bool = True
    rate: float = 3.0


@dataclass
class FaultRow:
    """One fault's line of the report. `recovery` is in seconds, None where none was needed; memory is in MB."""

    fault: str
    sent: int
    right: int
    retryable: int
    lost: int
    wrong: int
    recovery: float | None
    memory_before: float
    memory_after: float
    note: str
    broken: list[str]


@dataclass
class Scene:
    """The context of a fault.

    Attributes:
        load: the clips that arrive meanwhile.
        struck: when the fault began; the moment that recovery counts from.
        recovery: seconds until every worker was READY and a clip sent after the fault had its right answer; the
            longest of several strikes.
        extra: verdicts on what a fault sends besides clips.
        broken: expectations that were not met, in words.
        random: seeded.
    """

    server: Server
    load: Load
    size: Size
    seed: int
    out: Path
    struck: float = 0.0
    recovery: float | None = None
    memory: tuple[float, float] | None = None
    extra: list[Verdict] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  # bodies and clips, no secret

    def strike(self) -> None:
        self.struck = time.monotonic()

    def expect(self, held: bool, otherwise: str) -> None:
        """Record an expectation that was not met."""
        if not held:
            self.broken.append(otherwise)

    def misbehave(self, fault: str) -> psutil.Process:
        """Send a clip that makes the faulty worker misbehave once; returns the worker that does."""
        (pid,) = self.server.workers(self.load.model)
        worker = psutil.Process(pid)
        token = secrets.token_hex(4)
        marker = Path(worker.cwd()) / f"chaos-{token}"
        self.accompanied(f"{fault} {token}")
        self.expect(wait_until(marker.exists, RECOVERY_SECONDS), f"{fault}: no worker took the clip")
        return worker

    @contextmanager
    def same_workers(self) -> Iterator[None]:
        """The block is the fault: no worker may be restarted over it."""
        workers = self.server.workers(self.load.model)
        self.strike()
        yield
        self.recover()
        self.expect(self.server.workers(self.load.model) == workers, "a worker was restarted")

    def accompanied(self, order: str) -> Future[Reply]:
        """A clip with an order for the faulty worker, and others that fill its batch; returns its own answer."""
        asked = self.load.ask(x_request_id=".".join(["chaos", *order.split()]))
        for _ in range(MATES):
            self.load.ask()
        return asked

    def recover(self, gone: Sequence[int] = ()) -> None:
        """Wait until every worker is READY, none of them one of the former, and an answer is right again."""
        never_down = not gone and bool(self.server.workers(self.load.model))
        ready = wait_until(lambda: self._ready(gone), RECOVERY_SECONDS)
        since = self.struck if never_down else time.monotonic()
        right = wait_until(lambda: self.load.right_since(self.struck) is not None, RECOVERY_SECONDS)
        self.expect(ready and right, f"not recovered {RECOVERY_SECONDS:.0f} s after the fault")
        if first := self.load.right_since(self.struck):
            self.recovery = max(self.recovery or 0.0, max(since, first) - self.struck)

    def _ready(self, gone: Sequence[int]) -> bool:
        workers = self.server.workers(self.load.model)
        return bool(workers) and not set(workers) & set(gone)


def play(
    fault: Fault, server: Server, clips: Sequence[KnownClip], size: Size, seed: int, out: Path
) -> FaultRow:
    """Cause the fault under load; returns its line of the report."""
    before = server.memory()
    with Load(server.sender(), fault.model, clips, fault.rate, seed) as load:
        scene = Scene(server, load, size, seed, out)
        settled = wait_until(lambda: load.count(Verdict.RIGHT) >= SETTLED, RECOVERY_SECONDS)
        scene.expect(settled, "no right answers before the fault")
        scene.strike()
        note = fault.cause(scene)
    verdicts = [verdict for _, verdict in load.replies] + scene.extra
    before, after = scene.memory or (before, server.memory())
    row = FaultRow(
        fault=fault.name,
        sent=len(verdicts),
        right=verdicts.count(Verdict.RIGHT),
        retryable=verdicts.count(Verdict.RETRYABLE),
        lost=verdicts.count(Verdict.LOST),
        wrong=verdicts.count(Verdict.WRONG),
        recovery=None if scene.recovery is None else round(scene.recovery, 2),
        memory_before=round(before, 2),
        memory_after=round(after, 2),
        note=note,
        broken=scene.broken,
    )
    for verdict in [Verdict.LOST, Verdict.WRONG] + [Verdict.RETRYABLE] * fault.unnoticed:
        if count := verdicts.count(verdict):
            row.broken.append(f"{count} {verdict.value}: {sample(load, verdict)}")
    return row


def sample(load: Load, verdict: Verdict) -> str:
    """The first few answers of this verdict to clips."""
    found = [str(reply) for reply, each in load.replies if each is verdict][:3]
    return "; ".join(found) or "among the fault's own bodies"
