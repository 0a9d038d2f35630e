"""Secrets that others could read or replace are refused; what the server writes is its user's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundle import BundleError, private


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Mode 600, in a folder of mode 700."""
    folder = private.folder(tmp_path / "secrets")
    private.write(folder / "tokens", "a token")
    return folder / "tokens"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = tmp_path / "run"
        folder.mkdir(mode=0o777)
        assert mode(private.folder(folder)) == 0o700
        (folder / "file").write_text("of a former version")
        (folder / "file.new").write_text("of a killed one")
        private.write(folder / "file", "text, é")
    finally:
        os.umask(before)
    assert mode(folder / "file") == 0o600
    assert (folder / "file").read_text("utf-8") == "text, é"
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_draft_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file.new").symlink_to(tmp_path / "elsewhere")
    private.write(tmp_path / "file", "text")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace

    def note(what: str) -> None:
        order.append(what)

    monkeypatch.setattr(os, "fsync", lambda handle: (note("fsync"), sync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (note("rename"), replace(*names))[1])
    private.write(tmp_path / "file", "text")
    assert order == ["fsync", "rename", "fsync"]


def test_a_secret_in_a_folder_of_ones_own_is_taken(secret: Path) -> None:
    private.check(secret, "TOKENS=tokens")


@pytest.mark.parametrize("bits", [0o770, 0o777, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(secret: Path, bits: int) -> None:
    secret.parent.chmod(bits)
    with pytest.raises(
        BundleError, match=rf"TOKENS=tokens can be replaced by other users.*secrets \(mode {bits:o}\)"
    ):
        private.check(secret, "TOKENS=tokens")


def test_the_folder_above_counts_unless_it_is_sticky(secret: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    private.check(secret, "TOKENS=tokens")
    tmp_path.chmod(0o777)
    with pytest.raises(BundleError, match="can be replaced by other users"):
        private.check(secret, "TOKENS=tokens")


def test_the_folder_of_a_links_target_counts_too(secret: Path, tmp_path: Path) -> None:
    folder = private.folder(tmp_path / "links")
    (folder / "tokens").symlink_to(secret)
    private.check(folder / "tokens", "TOKENS=tokens")
    secret.parent.chmod(0o777)
    with pytest.raises(BundleError, match="can be replaced by other users"):
        private.check(folder / "tokens", "TOKENS=tokens")


def test_a_folder_that_is_mounted_read_only_is_taken(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes' secrets: mode 1777, on a file system that nobody can write to."""
    secret.parent.chmod(0o1777)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    private.check(secret, "TOKENS=tokens")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_run_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 12345, 12345)
    with pytest.raises(BundleError, match="belongs to another user"):
        private.folder(tmp_path / "run")
