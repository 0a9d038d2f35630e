"""State files and the sample clips' manifest."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bundle import BundleError
from bundle.samples import samples
from serving import state
from serving.host import orphans
from serving.host.processes import Identity
from serving.state import State

SERVER = State(
    models=["demo"],
    url="http://127.0.0.1:8080",
    store="/tmp/store",
    management="/tmp/speaker-id-x/management",
    inference_url="http://127.0.0.1:1",
    metrics_url="http://127.0.0.1:2",
    grpc="127.0.0.1:3",
    serve=Identity(4, "b00t", 525),
    gateway=None,
    temp=["/tmp/x"],
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    SERVER.write(tmp_path)
    assert state.read(tmp_path / state.FILE) == SERVER
    with_gateway = replace(SERVER, gateway=Identity(6, "b00t", 750))
    with_gateway.write(tmp_path)
    assert state.read(tmp_path / state.FILE) == with_gateway
    assert [file.name for file in tmp_path.iterdir()] == [state.FILE]


def test_a_server_that_stopped_meanwhile_is_none(tmp_path: Path) -> None:
    assert state.read(tmp_path / state.FILE) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty: it describes no server"),
        (b"{", "is damaged: it describes no server"),
        (b"\xff", "is damaged: it describes no server"),
        (b"[]", "was written by another version of the bundle"),
        (b"null", "was written by another version of the bundle"),
        (b'{"pid": 3}', "was written by another version of the bundle"),
        (
            b'{"serve": {"pid": 4, "created": 5.25}, "gateway": null}',
            "was written by another version of the bundle",
        ),
    ],
)
def test_an_empty_or_foreign_file_is_skipped_with_a_warning_and_one_alone(
    tmp_path: Path, content: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for port in ("8080", "8081"):
        (tmp_path / port).mkdir()
    (tmp_path / "8080" / state.FILE).write_bytes(content)
    SERVER.write(tmp_path / "8081")
    assert [found for _, found in state.states(tmp_path)] == [SERVER]
    assert list(state.states(tmp_path))  # as the next step of the same command does
    assert orphans.clear(tmp_path / "8080") == []
    assert capsys.readouterr().err == f"skipped: {tmp_path}/8080/serve.json {why}\n"


def test_the_server_started_last_comes_first(tmp_path: Path) -> None:
    for age, port in enumerate((8080, 8081, 8082)):
        folder = tmp_path / str(port)
        folder.mkdir()
        replace(SERVER, url=f"http://127.0.0.1:{port}").write(folder)
        os.utime(folder / state.FILE, (1000 - age, 1000 - age))
    assert [found.url[-4:] for _, found in state.states(tmp_path)] == ["8080", "8081", "8082"]


def test_samples_come_with_their_speakers(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"")
    (tmp_path / "manifest.csv").write_text("clip,speaker,language,seconds\na.flac,ann,en,2.5\n")
    (found,) = samples(tmp_path)
    assert (found.path, found.speaker, found.seconds) == (tmp_path / "a.flac", "ann", 2.5)


def test_a_missing_clip_or_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.csv"):
        samples(tmp_path)
    (tmp_path / "manifest.csv").write_text("clip,speaker,language,seconds\na.flac,ann,en,2.5\n")
    with pytest.raises(BundleError, match=r"names a\.flac, which is missing"):
        samples(tmp_path)
