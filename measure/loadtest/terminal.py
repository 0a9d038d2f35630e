"""What the terminal shows while a run lasts, and after it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from measure.loadtest.capacity import Step
from measure.loadtest.drive import Record
from measure.loadtest.slo import Slo, name
from measure.loadtest.summary import percentile, seconds

RECENT = 200  # requests that the running percentiles are of
LINE_SECONDS = 10.0  # between two lines where there is no terminal to redraw
WIDTH = 120  # where there is no terminal to ask


def console() -> Console:
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=WIDTH)


class Progression:
    """Counts records, and shows the count: a bar on a terminal, else a line now and then."""

    def __init__(self, screen: Console, title: str, total: int | None) -> None:
        self._screen = screen
        self._title, self._total = title, total
        self._answered = self._failed = 0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        )
        self._task = self._bar.add_task(title, total=total, state="", count="")
        self._last = time.monotonic()

    def __enter__(self) -> Progression:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add(self, record: Record) -> None:
        self._answered += 1
        self._failed += record.error is not None
        self._recent.append(math.inf if record.error else record.latency)
        now = time.monotonic()
        if self._screen.is_terminal:
            self._bar.update(self._task, completed=self._answered, count=self._count(), state=self._state())
        elif now - self._last > LINE_SECONDS:
            self._last = now
            self._screen.print(f"{self._title}: {self._count()}, {self._state()}")

    def _count(self) -> str:
        return f"{self._answered}{f' of {self._total}' if self._total else ''} answered"

    def _state(self) -> str:
        ascending = sorted(self._recent)
        now = f"p50 {seconds(percentile(ascending, 0.5))}, p99 {seconds(percentile(ascending, 0.99))}"
        return now + (f", {self._failed} failed" if self._failed else "")


def results(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=SIMPLE, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for label, value in rows:
        table.add_row(label, value)
    return table


def step_line(step: Step, slo: Slo) -> str:
    """One measured rate in a line."""
    parts = [f"{name(q)} {seconds(step.summary.percentile(q))}" for q in slo.latencies]
    parts += [f"{100 * step.summary.error_rate:.3g} % failed"] if step.summary.errors else []
    parts += [] if step.summary.valid else [f"generator late by {seconds(step.summary.lag)}"]
    verdict = "holds" if step.passed else "breaks"
    return f"{step.rate:8.2f}/s  {verdict:6}  {', '.join(parts)}  ({step.summary.requests} requests)"
