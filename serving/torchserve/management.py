"""TorchServe's management API, on a unix socket in a folder that only its owner may access.

It is on no TCP port: registering an archive makes the server run code, and scaling a model to zero workers turns it
off.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from serving.control import ManagementError, Version
from serving.host import local_http


class Management:
    """The management API behind one socket.

    Args:
        path: the socket.
        patience: seconds for an answer, by default.
    """

    def __init__(self, path: Path, patience: float = 5.0) -> None:
        self.path = path
        self.patience = patience

    def models(self) -> list[str]:
        """The names of all models that are registered."""
        return [model["modelName"] for model in self._ask("GET", "/models?limit=1000")["models"]]

    def describe(self, model: str, version: str = "all") -> list[dict[str, Any]]:
        """TorchServe's own description of a model, one entry a version."""
        described: list[dict[str, Any]] = self._ask("GET", f"/models/{model}/{version}")
        return described

    def versions(self, model: str) -> dict[str, Version]:
        """Every version of a model that is registered, by number."""
        found = (_version(entry) for entry in self.describe(model))
        return {each.version: each for each in found}

    def default(self, model: str) -> str:
        """The version that answers requests without one."""
        (described,) = self._ask("GET", f"/models/{model}")
        return str(described["modelVersion"])

    def register(self, archive: str, timeout: float) -> None:
        """Unpack an archive of the model store and ask for its workers, as many as its model-config.yaml says.

        It does not wait for the workers: TorchServe would block one of the few threads that read and answer callers'
        requests until the last worker is READY.

        Args:
            archive: file name in the store.
            timeout: seconds for hashing and unpacking.

        Raises:
            ManagementError: it is rejected. The reason why a worker does not start is only in the logs.
        """
        self._ask("POST", f"/models?{urlencode({'url': archive, 'synchronous': 'false'})}", timeout)

    def scale(self, model: str, version: str, workers: int) -> None:
        """Set the number of workers; TorchServe starts or ends them after it has answered."""
        query = urlencode({"min_worker": workers, "max_worker": workers})
        self._ask("PUT", f"/models/{model}/{version}?{query}")

    def set_default(self, model: str, version: str) -> None:
        """Send requests that name no version to this one from now on."""
        self._ask("PUT", f"/models/{model}/{version}/set-default")

    def unregister(self, model: str, version: str, timeout: float = 60.0) -> None:
        """End a version's workers at once and unload it. Their requests are lost, so drain before."""
        self._ask("DELETE", f"/models/{model}/{version}", timeout)

    def _ask(self, method: str, target: str, timeout: float | None = None) -> Any:
        try:
            answer = local_http.ask(local_http.unix(self.path, timeout or self.patience), method, target)
        except local_http.FAULTS as exc:
            raise ManagementError(
                f"TorchServe's management API does not answer ({type(exc).__name__}): is the server still running?"
            ) from exc
        try:
            content = json.loads(answer.body)
        except ValueError:
            content = None
        if answer.status >= 400:
            said = content.get("message") if isinstance(content, dict) else "it gives no reason"
            what = f"{method} {target.split('?')[0]}"
            raise ManagementError(f"TorchServe rejects {what} with {answer.status}: {said}", answer.status)
        return content


def _version(entry: dict[str, Any]) -> Version:
    queue = entry["jobQueueStatus"]
    return Version(
        version=entry["modelVersion"],
        pids=tuple(worker["pid"] for worker in entry["workers"] if worker["status"] == "READY"),
        workers=len(entry["workers"]),
        wanted=entry["minWorkers"],
        pending=queue["pendingRequests"],
        capacity=queue["pendingRequests"] + queue["remainingCapacity"],
        response_timeout=entry["responseTimeout"],
        batch_delay=entry["maxBatchDelay"] / 1000,
    )
