"""The two servers that run in TorchServe: ours, whole, and the usual handler with the same server-wide settings."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from bundle import BundleError, archive
from bundle.spec import ModelSpec
from measure import ROOT, Unavailable
from measure.command import last_line
from measure.compare import BUILD
from measure.compare.contenders import Contender
from measure.compare.servers import QUIET, alive, wait
from measure.compare.usual import BATCH_SECONDS, MODULES, TIMEOUT, Setup
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.model_servers import Chosen
from serving.service import Service

HANDLER = ROOT / "measure" / "compare" / "peers" / "torchserve" / "handler.py"
NAME = "usual"


class Ours:
    """Gateway, model server and handler as `make serve` starts them; only the precision is chosen."""

    def __init__(self, spec: ModelSpec, contender: Contender, run: Path) -> None:
        settings = spec.speaker_id.model_copy(update={"precision": contender.precision})
        self.spec = spec.model_copy(update={"speaker_id": settings})
        self.store = BUILD / "store" / contender.precision
        chosen = Chosen(contender.server)
        self.service = Service([self.spec], self.store, run, GatewayOptions(ports.free(1)[0]), chosen)

    @property
    def target(self) -> Target:
        return Target(f"{self.service.gateway.url}/predictions/{self.spec.name}", timeout=TIMEOUT)

    def start(self, probe: Clip) -> None:
        try:
            with contextlib.redirect_stdout(
                io.StringIO()
            ):  # what it prints at every start does not matter here
                archive.build(self.spec, self.store)
            self.service.start()
        except BundleError as exc:
            raise Unavailable(str(exc)) from exc
        wait(self, probe, self.service.fault)

    def processes(self) -> list[psutil.Process]:
        gateway = self.service.gateway.pid
        return alive(self.service.server.identities()) + ([psutil.Process(gateway)] if gateway else [])

    def stop(self) -> None:
        self.service.stop(grace=0.0)


class Usual:
    """TorchServe with the usual handler, and nothing in front of it."""

    def __init__(self, setup: Setup, run: Path) -> None:
        self.setup = setup
        self.store = BUILD / "store" / f"usual-{setup.batch}"
        self.server = Chosen("torchserve", QUIET | setup.variables()).server(self.store, [NAME], run)

    @property
    def target(self) -> Target:
        return Target(f"{self.server.url}/predictions/{NAME}", timeout=TIMEOUT)

    def start(self, probe: Clip) -> None:
        try:
            pack(self.setup, self.store)
            self.server.start()
            self.server.wait_ready()
        except BundleError as exc:
            raise Unavailable(str(exc)) from exc
        wait(self, probe, lambda: None if self.server.running else "TorchServe ended")

    def processes(self) -> list[psutil.Process]:
        return alive(self.server.identities())

    def stop(self) -> None:
        self.server.stop()


def pack(setup: Setup, store: Path) -> Path:
    """The usual handler's archive, by torch-model-archiver; its settings are ours except the workers.

    Raises:
        BundleError: the archiver failed.
    """
    stage, scratch = store / "stage", store / "tmp"
    shutil.rmtree(stage, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        (stage / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / module, stage / module)
    (stage / "checkpoint").symlink_to(setup.model.resolve())
    settings = {"minWorkers": setup.workers, "maxWorkers": setup.workers, "batchSize": setup.batch}
    settings |= {
        "maxBatchDelay": round(1e3 * BATCH_SECONDS),
        "responseTimeout": TIMEOUT,
        "startupTimeout": 300,
    }
    config = store / "model-config.yaml"
    config.write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    command = [
        sys.executable,
        "-m",
        "model_archiver.model_packaging",
        "--model-name",
        NAME,
        "--version",
        "1.0",
    ]
    command += ["--handler", str(HANDLER), "--extra-files", str(stage), "--config-file", str(config)]
    command += ["--archive-format", "zip-store", "--export-path", str(store), "--force"]
    done = subprocess.run(command, env={**os.environ, "TMPDIR": str(scratch)}, capture_output=True, text=True)
    if done.returncode != 0:
        raise BundleError(f"torch-model-archiver failed for the usual handler: {last_line(done.stderr)}")
    return store / f"{NAME}.mar"
