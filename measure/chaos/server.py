"""The server under fault: model server and gateway, real ones, tended as `make serve` does; it can be restarted."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
from rich.console import Console

from bundle import BundleError, private
from bundle.spec import ModelSpec
from measure.http import Sender
from serving import state
from serving.gateway import tokens
from serving.gateway.options import GatewayOptions
from serving.gateway.tokens import Tokens
from serving.host import ports
from serving.model_servers import Chosen
from serving.service import Service
from serving.temporary import TEMPORARY_GRACE_SECONDS, clean, ended

COMMAND = "chaos"
GREEDY_SHARE = 2.0  # requests a second, and its burst
TEND_SECONDS = 0.2  # between two looks, as of `make serve`


class Server:
    """What `make serve` runs, and what a supervisor does when it ends: restart it on the same port."""

    def __init__(
        self, specs: Sequence[ModelSpec], store: Path, run: Path, chosen: Chosen, tokens: Tokens
    ) -> None:
        self.chosen = chosen
        self.port = ports.free(1)[0]
        options = GatewayOptions(self.port, tokens=tokens)
        self._new: Callable[[], Service] = lambda: Service(specs, store, run, options, chosen)
        self.token, self.greedy = tokens.each
        self.service = self._new()
        self._over = threading.Event()
        self._tended = threading.Lock()

    @property
    def url(self) -> str:
        return self.service.gateway.url

    def sender(self, greedy: bool = False) -> Sender:
        """Who sends as the greedy caller, or as one who has no limits."""
        return Sender(self.url, self.greedy if greedy else self.token)

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
def two_tokens() -> Iterator[Tokens]:
    """A file of two tokens for the length of the block: of a caller without limits, and of one with a small share."""
    token, greedy = (secrets.token_urlsafe(24) for _ in range(2))
    with tempfile.TemporaryDirectory(prefix=f"{COMMAND}-") as folder:
        file = Path(folder) / "tokens"
        share = f"requests={GREEDY_SHARE:g} requests_burst={GREEDY_SHARE:g}"
        private.write(file, f"{token} name=others\n{greedy} name=greedy {share}\n")
        yield tokens.read(file)


@contextlib.contextmanager
def serving(specs: Sequence[ModelSpec], store: Path, chosen: Chosen, console: Console) -> Iterator[Server]:
    """A server for the length of the block, ended whatever happens; its folder stays after a failure, for its logs.

    Raises:
        BundleError: it does not start; says in one line why.
    """
    clean(COMMAND)
    run = state.RUN / f"{COMMAND}-{os.getpid()}"
    # the current service: a fault may have replaced it
    with (
        two_tokens() as accepted,
        contextlib.nullcontext(Server(specs, store, run, chosen, accepted)) as server,
        ended(server.service.start, lambda grace: server.service.stop(grace), run, COMMAND, console),
        server.tended(lambda text: console.print(f"{COMMAND}: {text}", markup=False)),
    ):
        yield server
