"""Bodies that `make fuzz` found to reach something new: each is answered or refused, within CPU time and memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from speaker_id.decoders import pool
from speaker_id.decoders.forking import ForkServer

from measure.bench.hostile import cost, fork_server

CORPUS = Path(__file__).resolve().parents[3] / "fuzz" / "corpus.zip"
CPU_SECONDS = 4.0


def bodies() -> dict[str, bytes]:
    with zipfile.ZipFile(CORPUS) as kept:
        return {name: kept.read(name) for name in kept.namelist()}


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as each:
        yield each


def test_every_body_has_an_outcome_and_none_is_a_fault_of_our_own(server: ForkServer) -> None:
    assert len(bodies()) > 50
    for name, body in bodies().items():
        spent = cost(body, server, CPU_SECONDS)
        assert not spent.fault.startswith(("exception", "hang", "cpu")), (name, spent)
        assert spent.address_space <= pool.MEMORY, (name, spent)
        assert len(body) <= 1024, name
