"""The real huggingface_hub client, in a process of its own, against a hub on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundle.hub_double import Hub, hub
from bundle.testing import write_checkpoint

ROOT = Path(__file__).parents[3]
REPO = "org/Tiny-SID"
FIRST, SECOND = "a1" * 20, "b2" * 20
MB = 1_000_000
# what the client holds back before it writes: bytes beyond the last multiple are lost with the connection
PIECE = 10 * 1024 * 1024

SCRIPT = """
import json, sys
from bundle import BundleError
from bundle.fetch import fetch
from bundle.sources import resolve
try:
    fetched = fetch(resolve(sys.argv[1], sys.argv[2] or None))
except BundleError as exc:
    sys.exit(f"error: {exc}")
print(json.dumps([str(fetched.folder), fetched.revision, sorted(fetched.files)]))
"""

Fetch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def stand_in() -> Iterator[Hub]:
    with hub() as running:
        yield running


@pytest.fixture
def published(stand_in: Hub, tmp_path: Path) -> Hub:
    stand_in.publish(REPO, write_checkpoint(tmp_path / "published", pickled=True), FIRST)
    return stand_in


@pytest.fixture
def large(stand_in: Hub, tmp_path: Path) -> tuple[Hub, bytes]:
    """A checkpoint whose weights file is 25 MB that nothing here reads as weights."""
    folder = write_checkpoint(tmp_path / "published", pickled=True)
    content = os.urandom(25 * MB)
    (folder / "pytorch_model.bin").write_bytes(content)
    stand_in.publish(REPO, folder, FIRST)
    return stand_in, content


def command(model: str, revision: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, model, revision]


@pytest.fixture
def surroundings(stand_in: Hub, tmp_path: Path) -> dict[str, Any]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment = inherited | {
        "HF_ENDPOINT": stand_in.endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'handler'}",
        "NO_PROXY": "127.0.0.1",
    }
    (tmp_path / "work").mkdir()
    return {"cwd": tmp_path / "work", "env": environment, "text": True}


@pytest.fixture
def fetch(surroundings: dict[str, Any]) -> Fetch:
    def run(model: str = REPO, revision: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        changed = surroundings | {"env": surroundings["env"] | environment}
        return subprocess.run(command(model, revision), capture_output=True, timeout=60, **changed)

    return run


def answer(done: "subprocess.CompletedProcess[str]") -> list[Any]:
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """The error that a person sees: one line, no stack trace."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def test_only_the_needed_files_come(published: Hub, fetch: Fetch) -> None:
    published.repos[REPO].commits[FIRST] |= {"README.md": b"hello", "tf_model.h5": b"0" * 100}
    folder, revision, files = answer(fetch())
    assert files == ["config.json", "preprocessor_config.json", "pytorch_model.bin"]
    assert revision == FIRST
    assert sorted(path.name for path in Path(folder).iterdir()) == files


def test_safetensors_is_preferred_to_a_pickle(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    safe = write_checkpoint(tmp_path / "safe")
    published.repos[REPO].commits[FIRST]["model.safetensors"] = (safe / "model.safetensors").read_bytes()
    assert "model.safetensors" in answer(fetch())[2]


def test_the_first_fetch_pins_main_to_its_commit(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    done = fetch()
    assert f"pinned to {FIRST}" in done.stdout
    lock = yaml.safe_load((tmp_path / "work/build/locks/org--Tiny-SID.yaml").read_text())
    assert (lock["source"], lock["revision"]) == (REPO, FIRST)
    assert lock["files"]["config.json"]["bytes"] == len(published.repos[REPO].commits[FIRST]["config.json"])


def test_a_model_with_a_folder_is_pinned_in_that_folder(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    folder = tmp_path / "work/models/tiny"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(f"source: {REPO}\n")
    assert answer(fetch("tiny"))[1] == FIRST
    assert yaml.safe_load((folder / "lock.yaml").read_text())["revision"] == FIRST


def test_main_may_move_on_and_the_pin_holds(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    fetch()
    published.publish(REPO, write_checkpoint(tmp_path / "next", pickled=True, seed=1), SECOND)
    assert answer(fetch())[1] == FIRST


def test_another_revision_than_the_pinned_one_says_how_to_pin_anew(
    published: Hub, fetch: Fetch, tmp_path: Path
) -> None:
    fetch()
    published.publish(REPO, write_checkpoint(tmp_path / "next", pickled=True, seed=1), SECOND)
    line = one_line(fetch(revision="main"))
    assert FIRST[:12] in line
    assert SECOND[:12] in line
    assert "delete build/locks/org--Tiny-SID.yaml" in line


def test_a_branch_is_told_as_its_commit(published: Hub, fetch: Fetch) -> None:
    published.repos[REPO].branches["v2"] = FIRST
    done = fetch(revision="v2")
    assert f"v2 is commit {FIRST}" in done.stdout
    assert answer(done)[1] == FIRST


def test_a_full_commit_is_what_is_asked_for(published: Hub, fetch: Fetch) -> None:
    fetch(revision=FIRST)
    resolved = [request.path for request in published.requests if "/resolve/" in request.path]
    assert resolved
    assert all(f"/resolve/{FIRST}/" in path for path in resolved)


def test_a_warm_cache_needs_no_network(published: Hub, fetch: Fetch) -> None:
    first = answer(fetch())
    asked = len(published.requests)
    assert answer(fetch()) == first
    assert len(published.requests) == asked
    assert answer(fetch(HF_HUB_OFFLINE="1")) == first


def test_offline_with_a_cold_cache_says_what_to_do(published: Hub, fetch: Fetch) -> None:
    line = one_line(fetch(HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE" in line
    assert published.requests == []


@pytest.mark.parametrize("pinned", [False, True])
def test_an_unreachable_hub_says_what_to_do(
    published: Hub, fetch: Fetch, tmp_path: Path, pinned: bool
) -> None:
    if pinned:
        fetch()
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        line = one_line(fetch(HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "cold")))
    assert f"{endpoint} cannot be reached" in line
    assert "HF_ENDPOINT" in line


def test_a_wrong_revision_is_named(published: Hub, fetch: Fetch) -> None:
    assert "org/Tiny-SID has no revision 'v9'" in one_line(fetch(revision="v9"))
    assert f"has no revision '{SECOND}'" in one_line(fetch(revision=SECOND))


def test_an_unknown_repository_is_named(published: Hub, fetch: Fetch) -> None:
    assert f"{published.endpoint} has no model org/nobody" in one_line(fetch("org/nobody"))


def test_a_gated_repository_asks_for_the_token(published: Hub, fetch: Fetch) -> None:
    published.repos[REPO].gated = True
    line = one_line(fetch())
    assert "gated" in line
    assert "HF_TOKEN" in line
    assert answer(fetch(HF_TOKEN="hf_test"))[1] == FIRST


def test_the_token_goes_to_the_hub_alone_and_only_when_set(
    published: Hub, fetch: Fetch, tmp_path: Path
) -> None:
    fetch()
    assert all("authorization" not in request.headers for request in published.requests)
    published.requests.clear()
    fetch(HF_TOKEN="hf_test", HF_HOME=str(tmp_path / "cold"))
    sent = {
        request.headers.get("authorization") for request in published.requests if "/resolve/" in request.path
    }
    assert sent == {"Bearer hf_test"}
    storage = [request.headers for request in published.requests if request.server == "storage"]
    assert storage
    assert all("authorization" not in headers for headers in storage)


def test_bytes_spoilt_on_their_way_are_refused_and_not_kept(published: Hub, fetch: Fetch) -> None:
    published.repos[REPO].corrupt.add("pytorch_model.bin")
    line = one_line(fetch())
    assert "pytorch_model.bin" in line
    assert "the hub says" in line
    published.repos[REPO].corrupt.clear()
    assert answer(fetch())[1] == FIRST


def test_a_file_swapped_under_the_pinned_commit_is_refused(
    published: Hub, fetch: Fetch, tmp_path: Path
) -> None:
    fetch()
    other = write_checkpoint(tmp_path / "other", pickled=True, seed=7)
    published.repos[REPO].commits[FIRST]["pytorch_model.bin"] = (other / "pytorch_model.bin").read_bytes()
    line = one_line(fetch(HF_HOME=str(tmp_path / "cold")))
    assert "pytorch_model.bin" in line
    assert "org--Tiny-SID.yaml says" in line


def test_a_hash_in_model_yaml_is_enforced(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    folder = tmp_path / "work/models/tiny"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(f"source: {REPO}\nfiles: {{config.json: {'f' * 64}}}\n")
    assert "model.yaml says ffffffffffff" in one_line(fetch("tiny"))


def test_a_damaged_cache_is_mended(published: Hub, fetch: Fetch) -> None:
    folder, *_ = answer(fetch())
    weights = (Path(folder) / "pytorch_model.bin").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    done = fetch()
    assert "pytorch_model.bin: the cached copy is damaged; fetching it anew" in done.stdout
    assert answer(done)[0] == folder


def test_another_kind_of_model_is_told_before_its_weights_are_fetched(published: Hub, fetch: Fetch) -> None:
    files = published.repos[REPO].commits[FIRST]
    files["config.json"] = files["config.json"].replace(b"ForSequenceClassification", b"ForCTC")
    line = one_line(fetch())
    assert "not an audio classification checkpoint" in line
    assert published.downloads("pytorch_model.bin") == []


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json", "pytorch_model.bin"])
def test_a_repository_that_lacks_a_file_is_refused(published: Hub, fetch: Fetch, missing: str) -> None:
    del published.repos[REPO].commits[FIRST][missing]
    assert missing in one_line(fetch())


@pytest.mark.parametrize("ending", ["closed", "reset"])
def test_a_dropped_connection_is_resumed_where_it_stopped(
    large: tuple[Hub, bytes], fetch: Fetch, ending: str
) -> None:
    stand_in, content = large
    stand_in.repos[REPO].faults["pytorch_model.bin"] = [
        (19 * MB, ending)
    ]  # a reset also throws away what was not read yet
    folder, *_ = answer(fetch())
    assert stand_in.downloads("pytorch_model.bin") == [None, f"bytes={PIECE}-"]
    assert (Path(folder) / "pytorch_model.bin").read_bytes() == content


def test_a_killed_download_is_resumed_by_the_next_one(
    large: tuple[Hub, bytes], fetch: Fetch, surroundings: dict[str, Any], tmp_path: Path
) -> None:
    stand_in, content = large
    stand_in.repos[REPO].faults["pytorch_model.bin"] = [(21 * MB, "held")]
    process = subprocess.Popen(
        command(REPO, ""), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **surroundings
    )
    try:
        deadline = time.monotonic() + 30
        while sum(part.stat().st_size for part in (tmp_path / "hf").rglob("*.part")) < 2 * PIECE:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = fetch()
    assert "pytorch_model.bin: resuming at 21.0 MB" in done.stdout
    assert (Path(answer(done)[0]) / "pytorch_model.bin").read_bytes() == content
    assert stand_in.downloads("pytorch_model.bin") == [None, f"bytes={2 * PIECE}-"]


def test_two_fetches_at_once_load_the_weights_once(
    large: tuple[Hub, bytes], surroundings: dict[str, Any]
) -> None:
    stand_in, _ = large
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen(command(REPO, FIRST), **pipes, **surroundings) for _ in range(2)]
    for process in both:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
    assert stand_in.downloads("pytorch_model.bin") == [None]
