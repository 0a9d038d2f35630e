"""The server under fault: model server and gateway, real ones, tended as `make serve` does; it can be restarted."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
from rich.console import Console

from bundle import BundleError
from bundle.spec import ModelSpec
from serving import state
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.model_servers import Chosen
from serving.service import Service
from serving.temporary import TEMPORARY_GRACE_SECONDS, clean, ended

COMMAND = "chaos"
TEND_SECONDS = 0.2  # between two looks, as of `make serve`


class Server:
    """What `make serve` runs, and what a supervisor does when it ends: restart it on the same port."""

    def __init__(self, specs: Sequence[ModelSpec], store: Path, run: Path, chosen: Chosen) -> None:
        self.chosen = chosen
        self._new: Callable[[], Service] = lambda: Service(
            specs, store, run, GatewayOptions(self.port), chosen
        )
        self.port = ports.free(1)[0]
        self.service = self._new()
        self._over = threading.Event()
        self._tended = threading.Lock()

    @property
    def url(self) -> str:
        return self.service.gateway.url

    def restart(self) -> None:
        """Stop what is left of it, and start it again."""
        with self._tended:
            self.service.stop(TEMPORARY_GRACE_SECONDS)
            self.service = self._new()
            self.service.start()

    @contextlib.contextmanager
    def tended(self, say: Callable[[str], None]) -> Iterator[None]:
        """For the block, mend what the watch finds broken."""

        def tend() -> None:
            while not self._over.wait(TEND_SECONDS):
                # where nothing more can be done, `make serve` would end: the fault's expectations fail
                with self._tended, contextlib.suppress(BundleError):
                    if self.service.fault() is None:
                        self.service.mend(say)

        thread = threading.Thread(target=tend, name="tend", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def workers(self, model: str) -> list[int]:
        """Process ids of the model's workers that are READY and alive; none if one of them is not."""
        try:
            versions = self.service.server.management.versions(model).values()
        except BundleError:
            return []
        pids = [pid for version in versions for pid in version.pids]
        well = all(version.ready for version in versions) and all(map(psutil.pid_exists, pids))
        return pids if well else []

    def main(self) -> psutil.Process:
        """The model server's own process. Raises psutil.NoSuchProcess once it has ended."""
        pid = self.service.server.pid
        assert pid is not None, "the model server was not started"
        return psutil.Process(pid)

    def memory(self) -> float:
        """What server, workers and gateway hold, in MB: proportional set size, which counts shared pages once."""
        total = 0
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 1e6

    def _processes(self) -> list[psutil.Process]:
        found = [identity.process() for identity in self.service.server.identities()]
        if gateway := self.service.gateway.pid:
            found.append(psutil.Process(gateway))
        return [process for process in found if process]


@contextlib.contextmanager
def serving(specs: Sequence[ModelSpec], store: Path, chosen: Chosen, console: Console) -> Iterator[Server]:
    """A server for the length of the block, ended whatever happens; its folder stays after a failure, for its logs.

    Raises:
        BundleError: it does not start; says in one line why.
    """
    clean(COMMAND)
    run = state.RUN / f"{COMMAND}-{os.getpid()}"
    server = Server(specs, store, run, chosen)
    # the current service: a fault may have replaced it
    with (
        ended(server.service.start, lambda grace: server.service.stop(grace), run, COMMAND, console),
        server.tended(lambda text: console.print(f"{COMMAND}: {text}", markup=False)),
    ):
        yield server
