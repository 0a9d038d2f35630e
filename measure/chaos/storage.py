"""Faults of what is stored: corrupt archives, and a disk that is full for logs."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from bundle import BundleError
from measure.chaos.archives import DEMO, cut_short, tampered
from measure.chaos.scene import Scene
from serving.gateway.options import GatewayOptions
from serving.host import local_http, ports
from serving.host.polling import wait_until
from serving.service import Service

FULL = Path("/dev/full")  # every write to it fails with "No space left on device"
ANSWERS = 10  # that must be right while nothing can be logged
PATIENCE = 30.0


def corrupt_archive(scene: Scene) -> str:
    """A second server is started beside the one that serves, with an archive that is cut short, or tampered with."""
    spoilers = (cut_short, tampered)
    with ThreadPoolExecutor(len(spoilers)) as pool:
        said = list(pool.map(lambda spoil: attempt(scene, spoil), spoilers))
    scene.recover()
    return "; ".join(said)


def attempt(scene: Scene, spoil: Callable[[Path, Path], None]) -> str:
    """The error of a second server whose archive is damaged."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        store = Path(folder) / "store"
        store.mkdir()
        whole = scene.server.service.server.store / f"{DEMO}.mar"
        spoil(whole, store / whole.name)
        return f"{spoil.__name__.replace('_', ' ')}: {refusal(scene, store, Path(folder) / 'run')}"


def refusal(scene: Scene, store: Path, run: Path) -> str:
    """The error of a server that is started from this store; it must not start."""
    spec = next(spec for spec in scene.server.service.specs if spec.name == DEMO)
    service = Service([spec], store, run, GatewayOptions(ports.free(1)[0]), scene.server.chosen)
    try:
        service.start()
    except BundleError as exc:
        scene.expect("\n" not in str(exc) and "Traceback" not in str(exc), f"no clear line: {exc}")
        return str(exc)
    finally:
        service.stop(0.0)
    scene.broken.append(f"a server started from {store.name}")
    return "it started"


def full_disk(scene: Scene) -> str:
    """No log line can be written, by the model server, its workers or the gateway; then there is space."""
    if not FULL.exists() or not hasattr(psutil.Process, "rlimit"):
        return "skipped: needs Linux, for /dev/full and prlimit(2)"
    logs = scene.server.service.server.logs
    access = scene.server.service.gateway.access_log
    with no_space(scene):
        scene.strike()
        before = written(logs)
        answered = len(scene.load.replies) + ANSWERS
        wait_until(lambda: len(scene.load.replies) >= answered, PATIENCE)
        scene.expect(written(logs) == before, "logs were written though the disk was full")
        scene.expect(access.is_symlink(), "the gateway's log was written though the disk was full")
        scene.recover()
    before = written(logs)
    scene.expect(
        wait_until(lambda: written(logs) > before, PATIENCE),
        "nothing is logged after the disk has space again",
    )
    scene.expect(wait_until(lambda: access.stat().st_size > 0, PATIENCE), "the gateway no longer logs")
    return f"{ANSWERS} answers and more while no line could be written; logging resumes once there is space"


@contextmanager
def no_space(scene: Scene) -> Iterator[None]:
    """Every write to a log fails, for a user without privileges too.

    A model server that has its logs open may not write to any file (RLIMIT_FSIZE of 0, which Java meets as an I/O
    error, as it does a full disk). A limit would kill the gateway with a signal, and take the memory that a worker
    shares with its decoders; they open their logs again, so these become /dev/full.
    """
    gateway, main, logs = scene.server.service.gateway, scene.server.main(), scene.server.service.server.logs
    assert gateway.folder is not None
    admin = gateway.folder / "admin"
    held = {Path(file.path) for file in main.open_files()} & set(logs.iterdir())
    full = [gateway.access_log, *(set(logs.iterdir()) - held)]
    former = main.rlimit(resource.RLIMIT_FSIZE)
    if held:
        main.rlimit(resource.RLIMIT_FSIZE, (0, former[1]))
    for file in full:
        file.replace(file.with_suffix(".aside.log"))
        file.symlink_to(FULL)
    local_http.ask(local_http.unix(admin), "POST", "/reopen_logs")
    try:
        yield
    finally:
        main.rlimit(resource.RLIMIT_FSIZE, former)
        for file in full:
            file.unlink()
        local_http.ask(local_http.unix(admin), "POST", "/reopen_logs")


def written(logs: Path) -> int:
    """Bytes in the model server's logs."""
    return sum(file.stat().st_size for file in logs.iterdir())
