"""What the terminal shows while a run lasts, and after it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

from rich.box import SIMPLE
from rich.table import Table

from measure.loadtest.capacity import Step
from measure.loadtest.drive import Record
from measure.loadtest.slo import Slo, name
from measure.loadtest.summary import percentile, seconds
from measure.progress import Progression

RECENT = 200  # requests that the running percentiles are of


def watched(shown: Progression) -> Callable[[Record], None]:
    """Takes records as they come, and shows the latest percentiles and the failures so far."""
    failed = 0
    recent: deque[float] = deque(maxlen=RECENT)

    def state() -> str:
        ascending = sorted(recent)
        now = f"p50 {seconds(percentile(ascending, 0.5))}, p99 {seconds(percentile(ascending, 0.99))}"
        return now + (f", {failed} failed" if failed else "")

    def add(record: Record) -> None:
        nonlocal failed
        failed += record.error is not None
        recent.append(math.inf if record.error else record.latency)
        shown.advance(state)

    return add


def results(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=SIMPLE, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def step_line(step: Step, slo: Slo) -> str:
    """One measured rate in a line."""
    parts = [f"{name(q)} {seconds(step.summary.percentile(q))}" for q in slo.latencies]
    parts += [f"{100 * step.summary.error_rate:.3g} % failed"] if step.summary.errors else []
    parts += [] if step.summary.valid else [f"generator late by {seconds(step.summary.lag)}"]
    verdict = "meets" if step.passed else "misses"
    return f"{step.rate:8.2f}/s  {verdict:6}  {', '.join(parts)}  ({step.summary.requests} requests)"
