"""ModelSpec → the checkpoint's source files on this disk, at one commit, every hash checked.

A file's bytes are checked against the lock of the first fetch, model.yaml, and the hub's own listing of the commit.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # exported lazily
from speaker_id.manifest import (
    CONFIG_FILE,
    PREPROCESSOR_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    FileRecord,
    check_config,
)

from bundle import BundleError
from bundle.download import cached, discard, download
from bundle.lock import Lock
from bundle.spec import ModelSpec
from bundle.terminal import say

PICKLED_WEIGHTS_FILE = "pytorch_model.bin"
POINTER = b"version https://git-lfs.github.com/spec/"  # the beginning of a Git LFS pointer
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Fetched:
    """Source files that passed every check.

    Attributes:
        folder: holds them, perhaps beside other files.
        files: their names, hashes and sizes.
        revision: the hub commit; None for a local folder.
    """

    folder: Path
    files: dict[str, FileRecord]
    revision: str | None


def fetch(spec: ModelSpec) -> Fetched:
    """Download the source files, or find them on this disk.

    The first fetch of a hub model writes its commit and hashes to `spec.lock`; later ones must match it, and do not use
    the network when the cache is warm. Honours HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE.

    Raises:
        BundleError: says what is wrong and what to do.
    """
    if spec.folder is not None:
        return _from_folder(spec, spec.folder)
    try:
        return _from_hub(spec)
    except (httpx.HTTPError, OSError, RevisionResolutionError) as exc:
        raise _explained(exc, spec) from exc


def _from_folder(spec: ModelSpec, folder: Path) -> Fetched:
    if not folder.is_dir():
        raise BundleError(f"{spec.name}: there is no folder {folder}")
    names = _needed({path.name for path in folder.iterdir() if path.is_file()}, str(folder))
    for name in names:
        _refuse_pointer(folder / name, str(folder))
    _check_config(folder / CONFIG_FILE, str(folder))
    _check_preprocessor(folder / PREPROCESSOR_FILE, str(folder))
    files = {name: FileRecord.of(folder / name) for name in names}
    for name, record in files.items():
        expected = spec.files.get(name)
        if expected not in (None, record.sha256):
            raise BundleError(_mismatch(spec, name, record.sha256, str(expected), "model.yaml"))
    return Fetched(folder, files, None)


def _from_hub(spec: ModelSpec) -> Fetched:
    assert spec.lock is not None  # sources gives every hub model one
    lock = Lock.read(spec.lock)
    commit = _commit(spec, lock)
    checks: dict[str, list[Check]] = {}
    if lock is not None:
        names = _needed(lock.files, str(spec.lock))
    else:
        hub = _listing(spec.source, commit)
        names = _needed(hub, f"{spec.source} at {commit[:12]}")
        checks = {name: [hub[name]] for name in names}
    for name in names:
        if (expected := spec.files.get(name)) is not None:
            checks.setdefault(name, []).append(Check(expected, "model.yaml"))
        if lock is not None:
            checks.setdefault(name, []).append(Check(lock.files[name].sha256, str(spec.lock)))

    files: dict[str, FileRecord] = {}
    folder = Path()
    for (
        name
    ) in names:  # config.json comes first: an unsupported model is reported before its weights are fetched
        path, files[name] = _checked(spec, name, commit, checks[name])
        folder = path.parent
        if name == CONFIG_FILE:
            _check_config(path, spec.source)
        elif name == PREPROCESSOR_FILE:
            _check_preprocessor(path, spec.source)
    if lock is None:
        Lock(source=spec.source, revision=commit, files=files).write(spec.lock)
        say(f"{spec.name}: pinned to {commit}, recorded in {spec.lock}")
    return Fetched(folder, files, commit)


@dataclass(frozen=True)
class Check:
    """A digest that a file must have, and where it is stated."""

    expected: str
    vouched_by: str
    of: Literal["sha256", "git blob"] = "sha256"

    def found(self, path: Path, record: FileRecord) -> str:
        """The file's own digest; git's is a SHA-1 over a header and the content (`git hash-object`)."""
        if self.of == "sha256":
            return record.sha256
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _commit(spec: ModelSpec, lock: Lock | None) -> str:
    """The full commit id to fetch. A lock that contradicts model.yaml or REVISION= is refused."""
    if lock is not None and lock.source != spec.source:
        raise BundleError(f"{spec.lock} pins {lock.source}, not {spec.source}: delete it to pin again")
    if spec.revision is None and lock is not None:
        return lock.revision
    if spec.revision is not None and COMMIT.fullmatch(spec.revision):
        commit = spec.revision
    else:
        commit = HfApi().resolve_revision(spec.source, revision=spec.revision).resolved
        say(f"{spec.name}: {spec.revision or 'main'} is commit {commit}")
    if lock is not None and lock.revision != commit:
        raise BundleError(
            f"{spec.name} is pinned to commit {lock.revision[:12]}…, but {commit[:12]}… is requested: "
            f"delete {spec.lock} to pin again"
        )
    return commit


def _listing(repo: str, commit: str) -> dict[str, Check]:
    """Every file at the commit, with the digest that the hub states for it."""
    info = HfApi().model_info(repo, revision=commit, files_metadata=True)
    listing: dict[str, Check] = {}
    for sibling in info.siblings or []:
        if sibling.lfs is not None:
            listing[sibling.rfilename] = Check(sibling.lfs.sha256, "the hub")
        elif sibling.blob_id is not None:
            listing[sibling.rfilename] = Check(sibling.blob_id, "the hub", "git blob")
    return listing


def _needed(available: Collection[str], where: str) -> list[str]:
    """The files of a checkpoint, `config.json` first; safetensors rather than a pickle."""
    for name in (CONFIG_FILE, PREPROCESSOR_FILE):
        if name not in available:
            raise BundleError(f"{where} holds no {name}: not an audio classification checkpoint")
    for name in (WEIGHTS_FILE, PICKLED_WEIGHTS_FILE):
        if name in available:
            return [CONFIG_FILE, PREPROCESSOR_FILE, name]
    raise BundleError(
        f"{where} holds neither {WEIGHTS_FILE} nor {PICKLED_WEIGHTS_FILE} (sharded weights are not read)"
    )


def _check_config(path: Path, where: str) -> None:
    try:
        check_config(path.read_bytes())
    except CheckpointError as exc:
        raise BundleError(f"{where}: {exc}") from exc


def _check_preprocessor(path: Path, where: str) -> None:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as exc:
        raise BundleError(f"{where}: {PREPROCESSOR_FILE} is not JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise BundleError(f"{where}: {PREPROCESSOR_FILE} holds a {type(content).__name__}, not an object")


def _refuse_pointer(path: Path, where: str) -> None:
    """Refuse what a clone without Git LFS has in place of a file: a few lines of text."""
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise BundleError(
                f"{where}: {path.name} is a Git LFS pointer, not the file: run `git lfs pull` there"
            )


def _checked(spec: ModelSpec, name: str, commit: str, checks: Collection[Check]) -> tuple[Path, FileRecord]:
    """Download one file. A damaged copy in the cache is fetched again, once; damaged bytes do not stay there."""
    was_cached = cached(spec.source, name, commit) is not None
    path = download(spec.source, name, commit)
    record = FileRecord.of(path)
    fault = _fault(spec, path, record, checks)
    if fault and was_cached:
        say(f"{name}: the cached copy is damaged; fetching it again")
        discard(path)
        return _checked(spec, name, commit, checks)
    if fault:
        discard(path)
        raise BundleError(fault)
    return path, record


def _fault(spec: ModelSpec, path: Path, record: FileRecord, checks: Collection[Check]) -> str | None:
    for check in checks:
        found = check.found(path, record)
        if found != check.expected:
            return _mismatch(spec, path.name, found, check.expected, check.vouched_by)
    return None


def _mismatch(spec: ModelSpec, name: str, found: str, expected: str, vouched_by: str) -> str:
    return (
        f"{name} of {spec.source} has the digest {found[:12]}…, {vouched_by} says {expected[:12]}…: damaged in "
        "transit, or replaced; fetch again, and if it persists, ask the model's publisher before you pin again"
    )


def _explained(exc: Exception, spec: ModelSpec) -> BundleError:
    """The hub client's exceptions, as one line that says what to do."""
    repo, hub = spec.source, constants.ENDPOINT
    if isinstance(exc, GatedRepoError):
        return BundleError(
            f"{repo} is gated: accept its terms at {hub}/{repo}, then set HF_TOKEN to your access token"
        )
    status = exc.response.status_code if isinstance(exc, HfHubHTTPError) else None
    if isinstance(exc, RepositoryNotFoundError) or status == 401:  # an unknown name gets 401 too
        return BundleError(f"{hub} has no model {repo}, or it is private: check the name, or set HF_TOKEN")
    if isinstance(exc, RevisionNotFoundError):
        return BundleError(
            f"{repo} has no revision {spec.revision!r}: give a full commit id, a branch or a tag"
        )
    if isinstance(exc, HfHubHTTPError):
        status = exc.response.status_code
        advice = "check HF_TOKEN" if status in (401, 403) else "try again later"
        return BundleError(f"{hub} answered {status} for {repo}: {advice}")
    if isinstance(exc, OfflineModeIsEnabled) or constants.is_offline_mode():
        return BundleError(
            f"{repo} is not in the cache {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE is set: unset it once"
        )
    if isinstance(exc, (httpx.HTTPError, RevisionResolutionError)):
        return BundleError(
            f"{hub} cannot be reached and {repo} is not in the cache: check the network, a proxy (HTTPS_PROXY) or "
            "HF_ENDPOINT; or copy the checkpoint here and give its folder as MODEL="
        )
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return BundleError(
            f"the disk of {constants.HF_HUB_CACHE} is full: free some, or set HF_HOME to a larger one"
        )
    return BundleError(f"{repo} cannot be fetched: {exc}")
