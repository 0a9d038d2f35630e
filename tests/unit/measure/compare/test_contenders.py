"""Everybody gets the same two cores, and every peer is there with what it needs."""

from __future__ import annotations

import re

import pytest

from measure import environment
from measure.compare import environments
from measure.compare.contenders import CONTENDERS, NAMES, OF_TRITON, Contender, choose


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda it: it.name)
def test_two_threads_in_all(contender: Contender) -> None:
    assert contender.layout.workers * contender.layout.threads == 2


def test_every_peer_with_an_environment_takes_part() -> None:
    peers = {contender.peer for contender in CONTENDERS}
    assert set(environments.names()) | {"torchserve", "triton", None} == peers


def test_beside_each_other_stand_both_model_servers_and_what_a_user_of_triton_would_set_up() -> None:
    assert set(OF_TRITON) == {
        *("ours-fp32", "ours-bf16", "ours-triton-fp32", "ours-triton-bf16"),
        *("triton-alone", "triton-padded"),
    }


@pytest.mark.parametrize("peer", environments.names())
def test_every_requirement_is_pinned(peer: str) -> None:
    lines = (environments.PEERS / peer / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert wanted
    assert all(re.match(r"[\w\[\]-]+==[\d.]+( #|$)", line) for line in wanted)


def test_names_are_taken_in_the_tables_order() -> None:
    assert [it.name for it in choose(["ray-padded", "ours-fp32"])] == ["ours-fp32", "ray-padded"]
    assert [it.name for it in choose(NAMES)] == list(NAMES)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"--only triton: not one of ours-fp32,"):
        choose(["triton"])


def test_an_environment_of_the_same_requirements_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    made: list[str] = []

    class Builder:
        @staticmethod
        def create(folder: object, **_: object) -> None:
            made.append(str(folder))
            site = environments.ENVIRONMENTS / "fastapi" / "lib" / "python3.11" / "site-packages"
            site.mkdir(parents=True)

    class Pip:
        returncode, stderr = 0, ""

    monkeypatch.setattr(environment, "venv", Builder)
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: Pip)
    first = environments.python("fastapi")
    assert environments.python("fastapi") == first
    assert len(made) == 1


def test_what_pip_says_is_the_reason_of_an_absent_peer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)

    class Builder:
        @staticmethod
        def create(folder: object, **_: object) -> None:
            (environments.ENVIRONMENTS / "ray" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)

    class Pip:
        returncode, stderr = 1, "looking\nERROR: no matching distribution\n"

    monkeypatch.setattr(environment, "venv", Builder)
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: Pip)
    said: list[str] = []
    assert environments.build(["ray"], said.append) == {
        "ray": "pip cannot install it: ERROR: no matching distribution"
    }
    assert said == ["ray: pip cannot install it: ERROR: no matching distribution"]
