"""This checkout's server, or another's, around an encoder that does nothing: what its processes use, by kind."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import psutil

from bundle import archive
from measure import ROOT, MeasureError
from measure.bench import BUILD
from serving.host import ports, processes
from serving.host.polling import wait_until

CONNECTIONS, LONE = 16, 40  # callers at once; requests of a lone one
MODEL = "demo"
START_SECONDS = 300.0
# run with the checkout's own Python path, so that its own settings apply
BUILD_ARCHIVE = """\
import sys; from pathlib import Path; from bundle import archive, sources
model, store, handler = sys.argv[1:]
archive.build(sources.resolve(model, root=Path("models")), Path(store), handler=Path(handler))"""
# what its command line contains → kind of process
PROCESSES = {
    "envoy": "gateway",
    "java": "TorchServe",
    "bin/tritonserver": "Triton",
    "model_service_worker": "worker",
    "python_backend_stub": "worker",
    "fork_server": "decoders",
}
KINDS = tuple(dict.fromkeys(PROCESSES.values()))


@dataclass
class Served:
    """One checkout's server, and what was measured of it: a list each, by format."""

    name: str
    port: int
    pid: int
    rates: dict[str, list[float]] = field(default_factory=dict)
    lone: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)

    def processes(self, *kinds: str) -> list[psutil.Process]:
        """Its processes of these kinds."""
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if kind_of(process) in kinds:
                    found.append(process)
        return found

    def usage(self) -> dict[str, list[tuple[float, float]]]:
        """CPU seconds used so far and resident MB of each process, by kind of process."""
        used: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if kind := kind_of(process):
                    used[kind].append((processes.cpu_seconds(process), process.memory_info().rss / 1e6))
        return used

    def processor_seconds(self) -> dict[str, float]:
        return {kind: sum(seconds for seconds, _ in each) for kind, each in self.usage().items()}


def kind_of(process: psutil.Process) -> str | None:
    command = " ".join(process.cmdline())
    return next((kind for mark, kind in PROCESSES.items() if mark in command), None)


def null_worker(checkout: Path, folder: Path) -> Path:
    """A folder like a checkout's handler/, whose workers have the encoder that does nothing."""
    shutil.copytree(checkout / "handler", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / archive.WORKER_FILE).rename(folder / archive.CORE_PACKAGE / "shipped.py")
    here = Path(__file__)
    shutil.copy(here.with_name("null_worker.py"), folder / archive.WORKER_FILE)
    shutil.copy(here.with_name("null_stages.py"), folder / archive.CORE_PACKAGE)
    return folder


def built(checkout: Path, name: str, model: str, handler: Path) -> Path:
    """The store of an archive that a checkout builds around a handler; a model's folder may be one of this checkout."""
    if (ROOT / model).is_dir():
        model = str(ROOT / model)
    store = BUILD / "served" / f"{name}-{Path(model).name}"
    shutil.rmtree(store, ignore_errors=True)
    build = [sys.executable, "-c", BUILD_ARCHIVE, model, str(store), str(handler)]
    subprocess.run(build, cwd=checkout, env=environment(checkout), check=True)
    return store


def environment(checkout: Path) -> dict[str, str]:
    # compiled modules are kept, as where it is used: else each start would compile its own
    own = {"PYTHONPATH": str(checkout / "handler"), "PYTHONDONTWRITEBYTECODE": ""}
    return {**os.environ, **own}


@contextlib.contextmanager
def launched(checkout: Path, name: str, store: Path, run: Path, server: str = "") -> Iterator[Served]:
    """A checkout's own server, ready, for the length of the block.

    Args:
        checkout: of this repository.
        name: for its log.
        store: what it serves.
        run: its folder.
        server: the model server, as SERVER= has it.
    """
    port = ports.free(1)[0]
    (command_of,) = checkout.glob("*/serve.py")  # an older checkout has it in another folder
    module = f"{command_of.parent.name}.serve"
    serve = [sys.executable, "-m", module, "--archived", str(store), "--port", str(port)]
    serve += ["--run", str(run), *(["--server", server] if server else [])]
    with (BUILD / f"served-{name}.log").open("wb") as log:
        process = subprocess.Popen(serve, cwd=checkout, env=environment(checkout), stdout=log, stderr=log)
    try:
        wait_ready(process, name, port)
        yield Served(name, port, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def serving(checkout: Path, name: str, full: bool, server: str = "") -> Iterator[Served]:
    """A checkout's own server of the demo, whose encoder does nothing unless `full`."""
    with tempfile.TemporaryDirectory(prefix="served-") as temp:
        folder = Path(temp)
        handler = checkout / "handler" if full else null_worker(checkout, folder / "handler")
        store = built(checkout, name, MODEL, handler)
        with launched(checkout, name, store, folder / "run", server) as it:
            yield it


def wait_ready(process: subprocess.Popen[bytes], name: str, port: int) -> None:
    wait_until(lambda: process.poll() is not None or is_ready(port), START_SECONDS)
    if process.poll() is not None or not is_ready(port):
        raise MeasureError(f"{name} does not start: see {BUILD / f'served-{name}.log'}")


def is_ready(port: int) -> bool:
    try:
        with connected(port) as connection:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def connected(port: int) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120))
