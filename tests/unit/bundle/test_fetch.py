"""The real huggingface_hub client against a hub on loopback: what is pinned, what is refused, what is said."""

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from speaker_id.manifest import FileRecord

from bundle import BundleError
from bundle.fetch import fetch as fetch_here
from bundle.lock import Lock
from bundle.sources import resolve
from bundle.spec import ModelSpec
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.hub import Client, Hub, hub

REPO = "org/Tiny-SID"
FIRST, SECOND = "a1" * 20, "b2" * 20


@pytest.fixture
def stand_in() -> Iterator[Hub]:
    with hub() as running:
        yield running


@pytest.fixture
def published(stand_in: Hub, tmp_path: Path) -> Hub:
    stand_in.publish(REPO, write_checkpoint(tmp_path / "published", pickled=True), FIRST)
    return stand_in


@dataclass(frozen=True)
class Outcome:
    status: int
    said: str
    complained: str

    @property
    def fetched(self) -> Any:
        """[folder, revision, file names]"""
        assert self.status == 0, self.complained
        return json.loads(self.said.splitlines()[-1])

    @property
    def refusal(self) -> str:
        """The error as a person sees it: one line, no stack trace."""
        assert self.status == 1
        assert "Traceback" not in self.complained
        (line,) = [line for line in self.complained.splitlines() if line.startswith("error: ")]
        return line


Fetch = Callable[..., Outcome]


@pytest.fixture
def fetch(stand_in: Hub, tmp_path: Path) -> Fetch:
    client = Client(stand_in.endpoint, tmp_path)
    return lambda model=REPO, revision="", **environment: Outcome(*client.run(model, revision, **environment))


def test_only_the_needed_files_come(published: Hub, fetch: Fetch) -> None:
    published.repos[REPO].commits[FIRST] |= {"README.md": b"hello", "tf_model.h5": b"0" * 100}
    folder, revision, files = fetch().fetched
    assert files == ["config.json", "preprocessor_config.json", "pytorch_model.bin"]
    assert revision == FIRST
    assert sorted(path.name for path in Path(folder).iterdir()) == files


def test_safetensors_is_preferred_to_a_pickle(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    safe = write_checkpoint(tmp_path / "safe")
    published.repos[REPO].commits[FIRST]["model.safetensors"] = (safe / "model.safetensors").read_bytes()
    assert "model.safetensors" in fetch().fetched[2]


def test_the_first_fetch_pins_main_to_its_commit(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    done = fetch()
    assert f"pinned to {FIRST}" in done.said
    lock = yaml.safe_load((tmp_path / "work/build/locks/org--Tiny-SID.yaml").read_text())
    assert (lock["source"], lock["revision"]) == (REPO, FIRST)
    assert lock["files"]["config.json"]["bytes"] == len(published.repos[REPO].commits[FIRST]["config.json"])


def test_a_model_with_a_folder_is_pinned_in_that_folder(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    folder = tmp_path / "work/models/tiny"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(f"source: {REPO}\n")
    assert fetch("tiny").fetched[1] == FIRST
    assert yaml.safe_load((folder / "lock.yaml").read_text())["revision"] == FIRST


def test_main_may_move_on_and_the_pin_holds(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    fetch()
    published.publish(REPO, write_checkpoint(tmp_path / "next", pickled=True, seed=1), SECOND)
    assert fetch().fetched[1] == FIRST


def test_another_revision_than_the_pinned_one_says_how_to_pin_anew(
    published: Hub, fetch: Fetch, tmp_path: Path
) -> None:
    fetch()
    published.publish(REPO, write_checkpoint(tmp_path / "next", pickled=True, seed=1), SECOND)
    line = fetch(revision="main").refusal
    assert FIRST[:12] in line
    assert SECOND[:12] in line
    assert "delete build/locks/org--Tiny-SID.yaml" in line


def test_a_branch_is_told_as_its_commit(published: Hub, fetch: Fetch) -> None:
    published.repos[REPO].branches["v2"] = FIRST
    done = fetch(revision="v2")
    assert f"v2 is commit {FIRST}" in done.said
    assert done.fetched[1] == FIRST


def test_a_full_commit_is_what_is_asked_for(published: Hub, fetch: Fetch) -> None:
    fetch(revision=FIRST)
    resolved = [request.path for request in published.requests if "/resolve/" in request.path]
    assert resolved
    assert all(f"/resolve/{FIRST}/" in path for path in resolved)


def test_a_warm_cache_needs_no_network(published: Hub, fetch: Fetch) -> None:
    first = fetch().fetched
    asked = len(published.requests)
    assert fetch().fetched == first
    assert len(published.requests) == asked
    assert fetch(HF_HUB_OFFLINE="1").fetched == first


def test_offline_with_a_cold_cache_says_what_to_do(published: Hub, fetch: Fetch) -> None:
    line = fetch(HF_HUB_OFFLINE="1").refusal
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
        line = fetch(HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "cold")).refusal
    assert f"{endpoint} cannot be reached" in line
    assert "HF_ENDPOINT" in line


def test_a_wrong_revision_is_named(published: Hub, fetch: Fetch) -> None:
    assert "org/Tiny-SID has no revision 'v9'" in fetch(revision="v9").refusal
    assert f"has no revision '{SECOND}'" in fetch(revision=SECOND).refusal


def test_an_unknown_repository_is_named(published: Hub, fetch: Fetch) -> None:
    assert f"{published.endpoint} has no model org/nobody" in fetch("org/nobody").refusal


def test_a_gated_repository_asks_for_the_token(published: Hub, fetch: Fetch) -> None:
    published.repos[REPO].gated = True
    line = fetch().refusal
    assert "gated" in line
    assert "HF_TOKEN" in line
    assert fetch(HF_TOKEN="hf_test").fetched[1] == FIRST


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


def test_bytes_spoilt_on_their_way_are_refused_and_not_kept(
    published: Hub, fetch: Fetch, tmp_path: Path
) -> None:
    published.repos[REPO].corrupt.add("pytorch_model.bin")
    line = fetch().refusal
    assert "pytorch_model.bin" in line
    assert "the hub says" in line
    assert not list((tmp_path / "hf").rglob("pytorch_model.bin"))  # other tools read this cache too
    published.repos[REPO].corrupt.clear()
    assert fetch().fetched[1] == FIRST


def test_a_file_swapped_under_the_pinned_commit_is_refused(
    published: Hub, fetch: Fetch, tmp_path: Path
) -> None:
    fetch()
    other = write_checkpoint(tmp_path / "other", pickled=True, seed=7)
    published.repos[REPO].commits[FIRST]["pytorch_model.bin"] = (other / "pytorch_model.bin").read_bytes()
    line = fetch(HF_HOME=str(tmp_path / "cold")).refusal
    assert "pytorch_model.bin" in line
    assert "org--Tiny-SID.yaml says" in line


def test_a_hash_in_model_yaml_is_enforced(published: Hub, fetch: Fetch, tmp_path: Path) -> None:
    folder = tmp_path / "work/models/tiny"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(f"source: {REPO}\nfiles: {{config.json: {'f' * 64}}}\n")
    assert "model.yaml says ffffffffffff" in fetch("tiny").refusal


def test_a_damaged_cache_is_mended(published: Hub, fetch: Fetch) -> None:
    folder, *_ = fetch().fetched
    weights = (Path(folder) / "pytorch_model.bin").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    done = fetch()
    assert "pytorch_model.bin: the cached copy is damaged; fetching it again" in done.said
    assert done.fetched[0] == folder


def test_another_kind_of_model_is_told_before_its_weights_are_fetched(published: Hub, fetch: Fetch) -> None:
    files = published.repos[REPO].commits[FIRST]
    files["config.json"] = files["config.json"].replace(b"ForSequenceClassification", b"ForCTC")
    line = fetch().refusal
    assert "not an audio classification checkpoint" in line
    assert published.downloads("pytorch_model.bin") == []


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json", "pytorch_model.bin"])
def test_a_repository_that_lacks_a_file_is_refused(published: Hub, fetch: Fetch, missing: str) -> None:
    del published.repos[REPO].commits[FIRST][missing]
    assert missing in fetch().refusal


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(repo: str, name: str, commit: str) -> Path:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("bundle.fetch.download", full)
    record = FileRecord(sha256="0" * 64, bytes=1)
    names = ("config.json", "preprocessor_config.json", "pytorch_model.bin")
    Lock(source=REPO, revision=FIRST, files=dict.fromkeys(names, record)).write(tmp_path / "lock.yaml")
    with pytest.raises(BundleError, match="is full: free some, or set HF_HOME to a larger one"):
        fetch_here(ModelSpec(name="tiny", source=REPO, lock=tmp_path / "lock.yaml"))


@pytest.mark.parametrize("text", ["", "]", "source: org/x\n", "source: org/x\nrevision: main\nfiles: {}\n"])
def test_a_damaged_lock_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock.yaml").write_text(text)
    with pytest.raises(BundleError, match=r"lock\.yaml is damaged: restore it from git, or delete it"):
        fetch_here(ModelSpec(name="tiny", source=REPO, lock=tmp_path / "lock.yaml"))


def test_a_lock_of_another_source_is_refused(tmp_path: Path) -> None:
    Lock(source="org/Other", revision=FIRST, files={}).write(tmp_path / "lock.yaml")
    with pytest.raises(
        BundleError, match=r"lock\.yaml pins org/Other, not org/Tiny-SID: delete it to pin again"
    ):
        fetch_here(ModelSpec(name="tiny", source=REPO, lock=tmp_path / "lock.yaml"))


def test_a_lock_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    Lock(source=REPO, revision=FIRST, files={}).write(tmp_path / "lock.yaml")
    with pytest.raises(BundleError, match=r"lock\.yaml holds no config\.json"):
        fetch_here(ModelSpec(name="tiny", source=REPO, lock=tmp_path / "lock.yaml"))


def test_a_local_folder_is_held_to_the_hashes_of_its_model_yaml(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "tiny")
    (folder / "model.yaml").write_text(f"source: .\nfiles: {{config.json: {'f' * 64}}}\n")
    with pytest.raises(
        BundleError, match=r"config\.json of tiny has the digest .*, model\.yaml says ffffffffffff"
    ):
        fetch_here(resolve(str(folder)))
