"""A large file through dropped connections, killed processes and two fetches at once."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.hub import Client, Hub, hub
from tests.waiting import wait_until

REPO, COMMIT = "org/Tiny-SID", "a1" * 20
WEIGHTS = "pytorch_model.bin"
MB = 1_000_000
PIECE = 10 * 1024 * 1024  # the client writes in these; what came beyond the last is lost with the connection


@pytest.fixture
def content() -> bytes:
    return os.urandom(25 * MB)


@pytest.fixture
def stand_in(tmp_path: Path, content: bytes) -> Iterator[Hub]:
    folder = write_checkpoint(tmp_path / "published", pickled=True)
    (folder / WEIGHTS).write_bytes(content)  # nothing here reads it as weights
    with hub() as running:
        running.publish(REPO, folder, COMMIT)
        yield running


def weights(said: str) -> bytes:
    return (Path(json.loads(said.splitlines()[-1])[0]) / WEIGHTS).read_bytes()


@pytest.mark.parametrize("ending", ["closed", "reset"])
def test_a_dropped_connection_is_resumed_where_it_stopped(
    stand_in: Hub, content: bytes, tmp_path: Path, ending: str
) -> None:
    stand_in.repos[REPO].faults[WEIGHTS] = [
        (19 * MB, ending)
    ]  # a reset also throws away what was not read yet
    _, said, _ = Client(stand_in.endpoint, tmp_path).run(REPO)
    assert weights(said) == content
    assert stand_in.downloads(WEIGHTS) == [None, f"bytes={PIECE}-"]


def test_a_killed_download_is_resumed_by_the_next_one(stand_in: Hub, content: bytes, tmp_path: Path) -> None:
    stand_in.repos[REPO].faults[WEIGHTS] = [(21 * MB, "held")]
    client = Client(stand_in.endpoint, tmp_path)
    with client.start(REPO) as process:
        try:
            wait_until(
                lambda: sum(part.stat().st_size for part in (tmp_path / "hf").rglob("*.part")) >= 2 * PIECE
            )
        finally:
            process.kill()
    _, said, _ = client.run(REPO)
    assert f"{WEIGHTS}: resuming at 21.0 MB" in said
    assert weights(said) == content
    assert stand_in.downloads(WEIGHTS) == [None, f"bytes={2 * PIECE}-"]


def test_a_second_fetch_waits_for_the_first_and_takes_over_when_it_dies(
    stand_in: Hub, content: bytes, tmp_path: Path
) -> None:
    stand_in.repos[REPO].faults[WEIGHTS] = [(21 * MB, "held")]
    client = Client(stand_in.endpoint, tmp_path)

    def asked_for(method: str) -> int:
        return sum(
            request.method == method and request.path.endswith(WEIGHTS) for request in stand_in.requests
        )

    with client.start(REPO, COMMIT) as first:
        try:
            wait_until(lambda: len(stand_in.downloads(WEIGHTS)) == 1)
            second = client.start(REPO, COMMIT)
            wait_until(lambda: asked_for("HEAD") == 2)
            time.sleep(0.5)  # long enough for a download that does not wait to begin
            assert len(stand_in.downloads(WEIGHTS)) == 1
        finally:
            first.kill()
    with second:
        said, _ = second.communicate(timeout=600)
    assert weights(said) == content
    assert len(stand_in.downloads(WEIGHTS)) == 2
