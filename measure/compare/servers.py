"""One contender's server: `start` returns once it answers, `target` says where to post, `stop` leaves no process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Protocol

import psutil
import requests

from measure import ROOT, Unavailable
from measure.command import last_line
from measure.compare.contenders import TRITON
from measure.compare.environments import PEERS
from measure.compare.usual import BATCH_SECONDS, MODULES, TIMEOUT, Setup
from measure.loadtest.clips import Clip
from measure.loadtest.target import AUDIO, Target, encode
from serving import model_servers
from serving.host import ports, processes
from serving.host.leash import Leashed
from serving.host.ports import LOOPBACK
from serving.host.processes import Identity

START_SECONDS = 180.0
POLL_SECONDS = 0.1
STOP_SECONDS = 10.0
NOT_YET = {404, 502, 503}  # from whatever stands before a model that is still loading

# variables that the user exported for other programs, and that would change a peer
NOT_PASSED_ON = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_PRELOAD"}
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": LOOPBACK,
    "no_proxy": LOOPBACK,
    # no telemetry
    "RAY_USAGE_STATS_ENABLED": "0",
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    # Ray lowers its workers' priority, and ends them where others fill the memory
    "RAY_worker_niceness": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    # and listens on loopback only with this variable, on Linux too
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


class Server(Protocol):
    """What the contest needs of a server."""

    def start(self, probe: Clip) -> None:
        """Return once `probe` is answered; raises Unavailable with the reason if it never will be."""

    @property
    def target(self) -> Target:
        """Where to post, and in which form."""

    def processes(self) -> list[psutil.Process]:
        """All that belong to it, as of now."""

    def stop(self) -> None:
        """End every process, by its id."""


@dataclass(frozen=True)
class Launch:
    """How a peer is started, and how it is asked; `environment` has variables beside those that all peers get."""

    arguments: tuple[str, ...]
    path: str
    form: str = "raw"
    environment: Mapping[str, str] = field(default_factory=dict)


OPEN_INFERENCE = (
    '{"inputs": [{"name": "audio", "shape": [1, 1], "datatype": "BYTES", "parameters": {"content_type": "base64"}, '
    f'"data": ["{AUDIO}"]}}]}}'
)


def launch(peer: str, setup: Setup, folder: Path) -> Launch:
    """Writes into `folder` what the peer reads at its start."""
    if peer == "bentoml":
        where = ("--working-dir", str(ROOT / "measure" / "compare" / "peers" / "bentoml"))
        arguments = ("serve", "service:Speaker", *where, "--host", LOOPBACK, "--port", str(setup.port))
        return Launch(("-m", "bentoml", *arguments), "/identify", "multipart:audio")
    if peer == "mlserver":
        mlserver_settings(setup, folder)
        start = ("-m", "mlserver.cli.main", "start", str(folder))
        return Launch(start, "/v2/models/speaker/infer", f"json:{OPEN_INFERENCE}")
    if peer == TRITON:
        return triton(setup, folder)
    module = ("-m", f"measure.compare.peers.{peer}.server")
    return (
        Launch(module, "/predict", "multipart:audio") if peer == "litserve" else Launch(module, "/identify")
    )


def mlserver_settings(setup: Setup, folder: Path) -> None:
    grpc, metrics = ports.free(2)
    server = {"host": LOOPBACK, "http_port": setup.port, "grpc_port": grpc, "metrics_port": metrics}
    server |= {"parallel_workers": setup.workers, "metrics_dir": str(folder), "debug": False}
    runtime = "measure.compare.peers.mlserver.runtime.Speaker"
    model: dict[str, object] = {"name": "speaker", "implementation": runtime}
    if setup.batch > 1:
        model |= {"max_batch_size": setup.batch, "max_batch_time": BATCH_SECONDS}
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))


def triton(setup: Setup, folder: Path) -> Launch:
    """A model repository with the usual model, and what stands in it in the place of installed packages."""
    peer, model = PEERS / TRITON, folder / "models" / "speaker"
    for source in (peer / "model.py", *(ROOT / module for module in MODULES)):
        copy = model / "1" / source.relative_to(peer if source.is_relative_to(peer) else ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    numbers = {"BATCH": setup.batch, "WORKERS": setup.workers, "DELAY": round(1e6 * BATCH_SECONDS)}
    text = Template((peer / "config.pbtxt").read_text("utf-8")).substitute(numbers)
    lines = [it for it in text.splitlines(keepends=True) if setup.batch > 1 or "dynamic_batching" not in it]
    (model / "config.pbtxt").write_text("".join(lines), "utf-8")
    found = model_servers.tritonserver()
    where = (f"--model-repository={model.parent}", f"--backend-directory={found.backends}")
    listening = (f"--http-address={LOOPBACK}", f"--http-port={setup.port}")
    off = [f"--allow-{name}=false" for name in ("grpc", "metrics", "sagemaker", "vertex-ai")]
    wait = f"--backend-config=python,stub-timeout-seconds={START_SECONDS:.0f}"
    return Launch(
        (*where, *listening, *off, wait), "/v2/models/speaker/infer", "binary:audio", found.environment
    )


class Peer:
    """A peer in a process of its own, from its own environment.

    Args:
        name: folder under measure/compare/peers.
        interpreter: of its environment, or its own program.
        run: folder for its log.
    """

    def __init__(self, name: str, interpreter: Path, setup: Setup, run: Path) -> None:
        self.name, self.interpreter, self.setup, self.run = name, interpreter, setup, run
        self.log = run / "server.log"
        self.seen: dict[int, Identity] = {}
        self.process: Leashed | None = None
        self.temp: Path | None = None
        self.launch: Launch | None = None

    @property
    def target(self) -> Target:
        assert self.launch
        url = f"http://{LOOPBACK}:{self.setup.port}{self.launch.path}"
        return Target(url, self.launch.form, timeout=TIMEOUT)

    def start(self, probe: Clip) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        self.temp = Path(tempfile.mkdtemp(prefix="peer-"))
        self.launch = launch(self.name, self.setup, self.temp)
        with self.log.open("wb") as output:
            self.process = Leashed(
                [str(self.interpreter), *self.launch.arguments],
                cwd=ROOT,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait(self, probe, self.fault)

    def environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if key not in NOT_PASSED_ON}
        threads = str(self.setup.threads)
        own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temp), "BENTOML_HOME": str(self.temp)}
        given = self.launch.environment if self.launch else {}
        return inherited | QUIET | own | {"OMP_NUM_THREADS": threads} | self.setup.variables() | dict(given)

    def fault(self) -> str | None:
        if self.process is not None and self.process.poll() is None:
            return None
        reason = last_line(self.log.read_text("utf-8", "replace"))
        return f"it ended while starting: {reason} (log: {self.log})"

    def processes(self) -> list[psutil.Process]:
        if self.process is not None:
            for process in processes.family(self.process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.seen[process.pid] = Identity.of(process)
        return alive(self.seen.values())

    def stop(self) -> None:
        if self.process is not None:
            self.processes()
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            self.process.release()
            # before ours is reaped: it may still have children
            left = processes.end(self.processes(), grace=2.0)
            self.process.kill()
            self.process.wait()
            self.process = None
            if left:
                raise Unavailable(f"processes {left} of {self.name} still exist although they were killed")
        if self.temp is not None:
            shutil.rmtree(self.temp, ignore_errors=True)
            self.temp = None


def alive(identities: Iterable[Identity]) -> list[psutil.Process]:
    return [process for identity in identities if (process := identity.process())]


def wait(server: Server, probe: Clip, fault: Callable[[], str | None]) -> None:
    """Post the probe until it is answered: no health check of the six servers guarantees that."""
    deadline = time.monotonic() + START_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        body, headers = encode(server.target, probe, probe.path.read_bytes())
        said = "no connection"
        while time.monotonic() < deadline:
            server.processes()
            if reason := fault():
                raise Unavailable(reason)
            with contextlib.suppress(requests.RequestException):
                response = session.post(server.target.url, body, headers=headers, timeout=START_SECONDS)
                if response.ok:
                    return
                said = f"{response.status_code}: {response.text[:200]}"
                if response.status_code not in NOT_YET and "not ready" not in said:  # MLServer's is a 400
                    break
            time.sleep(POLL_SECONDS)
    raise Unavailable(f"it does not answer a clip: {said}")


@contextlib.contextmanager
def serving(server: Server, probe: Clip) -> Iterator[Server]:
    """A server that answers, for the length of the block."""
    try:
        server.start(probe)
        yield server
    finally:
        server.stop()
