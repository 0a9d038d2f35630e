"""The versions that a TorchServe has loaded: its management API, and what only its logs and its workers tell."""

from __future__ import annotations

from pathlib import Path

from bundle import BundleError
from serving.control import Control, ManagementError
from serving.host import local_http
from serving.host.local_http import Answer
from serving.host.polling import wait_until
from serving.torchserve import startup_log
from serving.torchserve.management import Management

REGISTER_SECONDS = 120.0  # for hashing and unpacking an archive; 400 MB take ten
ENDING_SECONDS = 60.0  # for a version's workers to end


class TorchServeControl(Management, Control):
    """The versions of one TorchServe.

    Args:
        path: the management API's socket.
        url: of the inference API.
        logs: folder of its logs.
    """

    def __init__(self, path: Path, url: str, logs: Path) -> None:
        super().__init__(path)
        self.url = url
        self.logs = logs

    @property
    def address(self) -> str:
        return str(self.path)

    def load(self, model: str, version: str, archive: str, seconds: float) -> None:
        logged = startup_log.position(self.logs)
        try:
            self.register(archive, REGISTER_SECONDS)
        except ManagementError as exc:
            why = startup_log.refusal(self.logs, logged) or exc
            raise BundleError(f"{model} {version} does not load: {why}") from exc

        def settled() -> bool:
            if why := startup_log.refusal(self.logs, logged):
                raise BundleError(f"{model} {version} does not load: {why}")
            return self.versions(model)[version].ready

        if not wait_until(settled, seconds):
            raise BundleError(f"{model} {version} is not ready after {seconds} s (logs: {self.logs})")

    def restart(self, model: str, version: str, workers: int) -> None:
        for number in (0, workers):
            self.scale(model, version, number)

    def unload(self, model: str, version: str) -> None:
        # unregistering waits for the workers to end, on a thread that callers' requests need: end them first
        self.scale(model, version, 0)
        wait_until(lambda: self.versions(model)[version].workers == 0, ENDING_SECONDS)
        self.unregister(model, version)

    def answer(self, model: str, version: str | None, clip: bytes, seconds: float, heads: str = "") -> Answer:
        path = f"/predictions/{model}/{version}" if version else f"/predictions/{model}"
        headers = {"content-type": "application/octet-stream", **({"x-heads": heads} if heads else {})}
        return local_http.ask(local_http.tcp(self.url, seconds), "POST", path, clip, headers)
