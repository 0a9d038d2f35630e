"""Packages are pinned byte for byte, and what cannot be had is said in one line."""

import hashlib
import os
from pathlib import Path

import pytest

from training.packages import PACKAGES, Package, PackageError, extract, fetch, verify

PINNED = Package("asterisk-voice", "1:2.0-1", hashlib.sha256(b"pinned").hexdigest())


def test_the_pinned_package_is_taken_from_the_folder(tmp_path: Path) -> None:
    deb = tmp_path / "asterisk-voice_1%3a2.0-1_all.deb"
    deb.write_bytes(b"pinned")
    assert fetch(PINNED, tmp_path) == deb


def test_other_bytes_are_refused_unless_asked_for(tmp_path: Path) -> None:
    deb = tmp_path / PINNED.file_name
    deb.write_bytes(b"other")
    with pytest.raises(PackageError, match=rf"not {PINNED.sha256}.*--any-version") as caught:
        verify(PINNED, deb)
    assert "\n" not in str(caught.value)
    verify(PINNED, deb, any_version=True)


@pytest.mark.skipif(os.name != "posix", reason="PATH lookup as on Debian")
def test_without_apt_get_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageError, match=r"^apt-get not found: .*Debian.*--debs DIR") as caught:
        extract(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="nowhere is no folder"):
        extract(tmp_path, debs=tmp_path / "nowhere")


def test_every_pin_is_a_sha256() -> None:
    assert all(len(bytes.fromhex(package.sha256)) == 32 for package in PACKAGES)
