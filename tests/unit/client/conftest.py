"""A server that fails in every way, and back-offs that a test can wait for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients import identify
from tests.unit.client.double import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "BACKOFF_SECONDS", 0.01)
    monkeypatch.delenv(identify.ENVIRONMENT_TOKEN, raising=False)
