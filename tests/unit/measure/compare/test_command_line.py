"""What a run is, by its options."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from measure.compare import __main__ as module
from measure.compare.contenders import NAMES, OF_TRITON


@pytest.mark.parametrize(
    ("given", "minutes", "step", "rounds", "entrants"),
    [
        ([], 30.0, 30.0, 3, NAMES),
        (["--server", "triton"], 12.0, 15.0, 1, OF_TRITON),
        (["--server=triton", "--only=triton-alone", "--minutes=2"], 2.0, 15.0, 1, ("triton-alone",)),
    ],
)
def test_the_model_servers_alone_are_a_short_run(
    monkeypatch: pytest.MonkeyPatch, given: list[str], minutes: float, step: float, rounds: int, entrants: Any
) -> None:
    ran: list[Any] = []

    def run(chosen: argparse.Namespace, contenders: Any, _: Any) -> None:
        names = tuple(it.name for it in contenders)
        ran.append((chosen.minutes, chosen.step, chosen.rounds, names))

    monkeypatch.setattr(module, "run", run)
    assert module.main(given) == 0
    assert ran == [(minutes, step, rounds, tuple(entrants))]


def test_one_that_takes_no_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        module.main(["--only", "nobody"])
    assert "--only nobody: not one of ours-fp32," in capsys.readouterr().err
