"""What is known to cost a decoder most is answered or refused within its CPU time and memory; no clock is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from speaker_id.audio import formats
from speaker_id.decoders import pool
from speaker_id.decoders.forking import ForkServer
from speaker_id.errors import RequestError

from measure.bench.hostile import cost, fork_server
from measure.chaos.attacks import Attack, attacks, matroska

SIZE = 1 << 16  # bytes of body
CPU_SECONDS = 4.0  # three times what the worst takes
GRANULE = 1.0 + 0.2  # s; the kernel counts whole seconds, and looks once a tick
CODES = {each.code for each in RequestError.__subclasses__()}
ATTACKS = attacks()


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as each:
        yield each


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_stays_within_its_cpu_time_and_memory(server: ForkServer, attack: Attack) -> None:
    spent = cost(attack.build(SIZE), server, CPU_SECONDS)
    assert spent.cpu_seconds <= CPU_SECONDS + GRANULE
    assert spent.address_space <= pool.MEMORY
    assert spent.outcome in ({"answered"} if attack.honest else {"answered", *CODES})
    assert not spent.fault.startswith(("exception", "hang", "cpu"))  # no seconds for a few kilobytes


def test_one_that_costs_more_than_its_cpu_time_is_ended_by_the_kernel(server: ForkServer) -> None:
    spent = cost(matroska.stripped(4 << 20), server, cpu_seconds=0.5)
    assert (spent.outcome, spent.fault) == ("audio_too_costly", "cpu")
    assert spent.cpu_seconds <= 0.5 + GRANULE


@pytest.mark.parametrize("container", [each.name for each in formats.FORMATS])
def test_every_container_has_attacks_and_its_longest_recording(container: str) -> None:
    found = [attack.honest for attack in ATTACKS if attack.container == container]
    assert {True, False} == set(found)
