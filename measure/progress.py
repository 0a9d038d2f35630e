"""How far a long run is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_SECONDS = 10.0  # between two lines where there is no terminal to redraw


class Progression:
    """Counts what is done; `done` of the total were done before."""

    def __init__(self, screen: Console, title: str, total: int | None, done: int = 0) -> None:
        self._screen, self._title, self._total = screen, title, total
        self._count, self._done = done, done
        self._began = self._last = time.monotonic()
        self._bar = Progress(
            *(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}")),
            TimeElapsedColumn() if total is None else TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        )
        self._task = self._bar.add_task(title, total=total, completed=done, state="")

    def __enter__(self) -> Progression:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, state: Callable[[], str]) -> None:
        """One more is done; the state is asked for where it is shown."""
        self._count += 1
        now = time.monotonic()
        if self._screen.is_terminal:
            self._bar.update(self._task, completed=self._count, state=f"{self._words()}, {state()}")
        elif now - self._last > LINE_SECONDS:
            self._last = now
            rate = (self._count - self._done) / (now - self._began)
            self._screen.print(f"{self._title}: {self._words()}, {state()}, {rate:.1f}/s")

    def _words(self) -> str:
        return f"{self._count}{f' of {self._total}' if self._total else ''}"
