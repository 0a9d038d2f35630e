"""The versions that a Triton has loaded: its model repository, which it polls, and what it and its workers show."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml
from speaker_id import activity

from bundle import BundleError, repository, shipped, store
from bundle.repository import CONFIG, HTTP, MODEL_FILE
from serving.control import Control, ManagementError, Version
from serving.host import local_http, processes
from serving.host.local_http import Answer
from serving.host.polling import wait_until
from serving.triton import failures, forms, gpus, scrape
from serving.triton.launch import REPOSITORY

ENDING_SECONDS = 60.0  # for a version's workers to end
SETTLE_SECONDS = 30.0  # for Triton to see what was changed in the repository
STEP = re.compile(r"model_version: (\d+)")


class TritonControl(Control):
    """The versions of one Triton.

    Args:
        temp: its temp folder.
        url: of its inference API.
        metrics_url: of its metrics.
        store: folder of the archives.
        output: what it prints.
    """

    patience = 5.0

    def __init__(self, temp: Path, url: str, metrics_url: str, store: Path, output: Path) -> None:
        self.temp, self.url, self.metrics_url = temp, url, metrics_url
        self.store, self.output = store, output
        self.repository = temp / REPOSITORY

    @property
    def address(self) -> str:
        return f"{self.temp} {self.metrics_url}"

    def models(self) -> list[str]:
        with suppress(OSError):
            return sorted(
                each.name for each in self.repository.iterdir() if any(each.glob(f"*/{MODEL_FILE}"))
            )
        raise ManagementError("Triton is being restarted")

    def versions(self, model: str) -> dict[str, Version]:
        pending = scrape.pending(self.scraped())
        stubs = self.stubs()
        found = {}
        for number in self._numbers(model):
            folder = self.repository / model / str(number)
            try:
                packed, settings = manifest(folder), config(folder)
            except FileNotFoundError:
                continue  # it is being removed
            alive = stubs.get(folder / MODEL_FILE, ())
            loaded = self.ask("GET", f"/v2/models/{model}/versions/{number}/ready").status == 200
            # one that is loading, beside a loaded one that it replaces, shows nothing yet
            ready = tuple(pid for pid in alive if activity.shown(pid) is not None) if loaded else ()
            waiting = pending.get((model, str(number)), 0)
            found[packed["modelVersion"]] = Version(
                version=packed["modelVersion"],
                pids=ready,
                workers=max(len(ready), settings["minWorkers"]),
                wanted=settings["minWorkers"],
                pending=waiting,
                capacity=shipped.shipped("job_queue_size"),
                response_timeout=settings["responseTimeout"],
                batch_delay=settings["maxBatchDelay"] / 1000,
            )
        return found

    def default(self, model: str) -> str:
        entrance = self.repository / f"{model}{HTTP}" / CONFIG
        with suppress(OSError):
            if step := STEP.search(entrance.read_text("utf-8")):
                return str(manifest(self.repository / model / step[1])["modelVersion"])
        raise ManagementError(f"Triton has no default version of {model}")

    def load(self, model: str, version: str, archive: str, seconds: float) -> None:
        printed = failures.position(self.output)
        repository.write(self.store / archive, self.repository, gpus.recorded(self.temp))

        def settled() -> bool:
            if why := failures.refusal(self.output, printed):
                raise BundleError(why)
            return self.versions(model)[version].ready

        try:
            if not wait_until(settled, seconds):
                raise BundleError(f"it is not ready after {seconds} s (log: {self.output})")
        except BundleError as exc:
            self._remove(model, version)
            raise BundleError(f"{model} {version} does not load: {exc}") from exc

    def set_default(self, model: str, version: str) -> None:
        number = repository.number(version)
        repository.point(self.repository, model, number, f"{model}{HTTP}")

        def seen() -> bool:
            answer = self.ask("GET", f"/v2/models/{model}{HTTP}/config")
            if answer.status != 200:
                return False
            steps = json.loads(answer.body).get("ensemble_scheduling", {}).get("step", [])
            return [int(step["model_version"]) for step in steps] == [number]

        self._until(seen, SETTLE_SECONDS, f"send requests to {model} {version}")

    def restart(self, model: str, version: str, workers: int) -> None:  # noqa: ARG002
        """Triton starts as many others as the version's settings say."""
        number = repository.number(version)
        for pid in self.stubs().get(self.repository / model / str(number) / MODEL_FILE, ()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.reload(model, number)

    def staffed(self, stubs: Mapping[Path, Collection[int]]) -> dict[tuple[str, int], bool]:
        """Whether each version, by model and Triton's number, has all its workers among these."""
        versions = [(model, number) for model in self.models() for number in self._numbers(model)]
        folders = {each: self.repository / each[0] / str(each[1]) for each in versions}
        found = {}
        for each, folder in folders.items():
            with suppress(FileNotFoundError):  # it is being removed
                found[each] = len(stubs.get(folder / MODEL_FILE, ())) >= config(folder)["minWorkers"]
        return found

    def patience_of(self, stubs: Mapping[Path, tuple[int, ...]]) -> dict[int, float]:
        """The responseTimeout of each worker, by its process id, in seconds."""
        found: dict[int, float] = {}
        for file, pids in stubs.items():
            with suppress(FileNotFoundError):  # it is being removed
                found |= dict.fromkeys(pids, config(file.parent)["responseTimeout"])
        return found

    def _numbers(self, model: str) -> list[int]:
        try:
            return repository.versions(self.repository / model)
        except OSError as exc:
            raise ManagementError(f"Triton has no model {model}, or is being restarted") from exc

    def reload(self, model: str, number: int) -> None:
        """Have Triton load a version again; what it has loaded goes on until that is done.

        Of a changed configuration alone it would take over the workers as they are, ended ones too.
        """
        os.utime(self.repository / model / str(number) / store.MODEL_CONFIG_FILE)

    def unload(self, model: str, version: str) -> None:
        self._remove(model, version)

    def answer(self, model: str, version: str | None, clip: bytes, seconds: float, heads: str = "") -> Answer:
        path = forms.path(model, version)
        headers = {**forms.RAW, **({"x-heads": heads} if heads else {})}
        return forms.restored(local_http.ask(local_http.tcp(self.url, seconds), "POST", path, clip, headers))

    def ask(self, method: str, target: str) -> Answer:
        """One question to Triton.

        Raises:
            ManagementError: it does not answer.
        """
        try:
            return local_http.ask(local_http.tcp(self.url, self.patience), method, target)
        except local_http.FAULTS as exc:
            raise ManagementError(
                f"Triton does not answer ({type(exc).__name__}): is the server still running?"
            ) from exc

    def scraped(self) -> str:
        """Triton's own metrics.

        Raises:
            ManagementError: it does not answer.
        """
        try:
            answer = local_http.ask(local_http.tcp(self.metrics_url, self.patience), "GET", "/metrics")
        except local_http.FAULTS as exc:
            raise ManagementError(f"Triton's metrics do not answer ({type(exc).__name__})") from exc
        if answer.status != 200:
            raise ManagementError(f"Triton answers {answer.status} to a request for its metrics")
        return answer.text

    def stubs(self) -> Mapping[Path, tuple[int, ...]]:
        """Process ids of the workers that have not ended, by the model.py that they run."""
        found: dict[Path, tuple[int, ...]] = {}
        prefix, suffix = f"{self.repository}/", f"/{MODEL_FILE}"
        for process in processes.matching(lambda it: it.startswith(prefix) and it.endswith(suffix)):
            with suppress(psutil.Error):
                if process.status() not in processes.ENDED:
                    file = Path(process.cmdline()[1])
                    found[file] = (*found.get(file, ()), process.pid)
        return found

    def _remove(self, model: str, version: str) -> None:
        number = repository.number(version)
        repository.remove(self.repository, model, version)

        def gone() -> bool:
            return self.ask("GET", f"/v2/models/{model}/versions/{number}/ready").status != 200

        self._until(gone, ENDING_SECONDS, f"unload {model} {version}")

    def _until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        if not wait_until(done, seconds):
            raise ManagementError(f"Triton did not {what} within {seconds:.0f} s (log: {self.output})")


def manifest(folder: Path) -> dict[str, str]:
    """Name and version that an unpacked archive states."""
    model: dict[str, str] = json.loads((folder / store.MANIFEST).read_text("utf-8"))["model"]
    return model


def config(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((folder / store.MODEL_CONFIG_FILE).read_text("utf-8"))
    return settings
