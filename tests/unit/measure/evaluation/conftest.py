"""Clips in a table, and a server that the client's tests share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import identify
from measure.evaluation import __main__ as command
from serving.signals import SIGNALS
from tests.unit.client.double import Server, serving

Evaluate = Callable[..., int]


@pytest.fixture(autouse=True)
def as_a_shell_has_it(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Quick back-offs, no token, and signals as they were: the program sets its own."""
    monkeypatch.setattr(identify, "BACKOFF_SECONDS", 0.002)
    monkeypatch.delenv(identify.ENVIRONMENT_TOKEN, raising=False)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def server() -> Iterator[Server]:
    """Says "ann" to everything, unless told otherwise."""
    with serving() as running:
        yield running


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve clips whose bytes are their names: eight of ann, four of bob."""
    rows = ["clip,label"]
    for number in range(12):
        name = f"{number:02}.wav"
        (tmp_path / name).write_bytes(name.encode())
        rows.append(f"{name},{'ann' if number < 8 else 'bob'}")
    (tmp_path / "mine.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "mine.csv"


@pytest.fixture
def evaluate(server: Server, table: Path, tmp_path: Path) -> Evaluate:
    """Run `make evaluate`'s program on the table through the server, here; gives its exit code."""

    def run(*arguments: str) -> int:
        given = ["--url", server.url, "--model", "sid", "--data", str(table), "--out", str(tmp_path / "out")]
        return command.main([*given, "--concurrency", "1", *arguments])

    return run
