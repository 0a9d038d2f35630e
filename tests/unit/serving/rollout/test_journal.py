"""An archive is not built in the middle of its model's roll-out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bundle import archive
from serving import archive as command
from serving import state
from serving.host.processes import Identity
from serving.rollout.journal import Change, Journal
from tests.unit.serving.test_state import SERVER


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server that runs, and on which a roll-out of demo has begun."""
    monkeypatch.setattr(state, "RUN", tmp_path)
    folder = tmp_path / "8080"
    folder.mkdir()
    replace(SERVER, serve=Identity.of(psutil.Process())).write(folder)
    Journal(folder, "demo").begin(Change("1.0", "2.0"))
    return folder


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(archive, "build", lambda spec, *_, **__: names.append(spec.name))
    return names


def test_make_archive_is_refused_while_a_roll_out_of_the_model_is_under_way(
    run: Path, built: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--model", "demo", "--store", str(run)]) == 1
    assert capsys.readouterr().err == (
        "error: a roll-out of demo from 1.0 to 2.0 is in progress on http://127.0.0.1:8080: wait until it has ended; "
        "a canary is promoted with make rollout MODEL=demo VERSION=2.0, or ends with ARGS=--abort\n"
    )
    assert built == []


def test_it_is_not_by_one_that_ended_with_its_server_nor_by_another_models(
    run: Path, built: list[str]
) -> None:
    assert command.main(["--model", "wav2vec2-base-superb-sid", "--store", str(run)]) == 0
    SERVER.write(run)  # whose process has ended
    assert command.main(["--model", "demo", "--store", str(run)]) == 0
    assert built == ["wav2vec2-base-superb-sid", "demo"]
