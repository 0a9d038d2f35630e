"""Real servers for end-to-end tests. Every process they start is ended by its id, and the ports are free ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from filelock import FileLock

from bundle import archive, archived, sources
from serving import model_servers, state
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports, processes
from serving.host.leash import Leashed
from serving.model_server import ModelServer
from serving.service import gateway_of
from serving.torchserve.process import TorchServe, serving
from tests.e2e.started import STUB, Run, Serve, StartServe, copy_checkpoint

ROOT = Path(__file__).resolve().parent.parent.parent


# A hundred servers are started, and Java's processor time at a start goes into compilers and collectors that pay off
# within minutes, and into loading the same classes each time.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@pytest.fixture(scope="session", autouse=True)
def quick_java(stub_archive: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Java starts faster, in these tests alone."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    classes = shared / "torchserve.jsa"
    with pytest.MonkeyPatch.context() as patch:
        with FileLock(shared / "torchserve.lock"):
            if not classes.exists():
                patch.setenv("JAVA_TOOL_OPTIONS", f"{QUICK_JAVA} -XX:ArchiveClassesAtExit={classes}")
                store = tmp_path_factory.mktemp("store")
                stub_archive(store, "stub")
                with serving(store, ["stub"], tmp_path_factory.mktemp("run")) as server:
                    server.stop(600)  # it writes them when it ends
                classes.touch()  # a Java that cannot goes without
        loaded = f"-XX:SharedArchiveFile={classes} -Xlog:cds*=off" if classes.stat().st_size else ""
        patch.setenv("JAVA_TOOL_OPTIONS", f"{QUICK_JAVA} {loaded}")
        yield


@pytest.fixture(scope="session")
def demo_checkpoint() -> Path:
    """The demo model converted, where every worker of the suite finds it."""
    return archive.prepare(sources.resolve("demo", root=ROOT / "models"), ROOT / archive.CHECKPOINTS)


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store that holds demo.mar, freshly built."""
    store = tmp_path_factory.mktemp("model_store")
    archive.build(sources.resolve("demo", root=ROOT / "models"), store)
    return store


@pytest.fixture(scope="session")
def demo_server(
    demo_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], ModelServer]]:
    """Start a model server with the demo model, by its name; every worker is READY. It runs until the session ends."""
    with contextlib.ExitStack() as stack:

        @cache
        def start(name: str) -> ModelServer:
            running = model_servers.of(name)(demo_store, ["demo"], tmp_path_factory.mktemp("run"))
            stack.callback(running.stop, 0)  # an idle Java takes three seconds to end by itself
            running.start()
            running.wait_ready()
            return running

        yield start


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With --server, tests that are marked any_server run against that server too."""
    other = metafunc.config.getoption("--server")
    if (
        other != TorchServe.name
        and "server" in metafunc.fixturenames
        and metafunc.definition.get_closest_marker("any_server")
    ):
        metafunc.parametrize("server", [TorchServe.name, other], indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, demo_server: Callable[[str], ModelServer]) -> ModelServer:
    """The model server with the demo model, every worker READY, shared by all tests of the session.

    TorchServe, but for tests that are marked any_server, which have each in turn. `.url`, `.management`, `.grpc`
    (host:port), `.worker_pids()`, `.logs`. A test that harms the server starts its own.
    """
    return demo_server(getattr(request, "param", TorchServe.name))


@pytest.fixture(scope="session")
def gateway(server: ModelServer, demo_store: Path) -> Iterator[Gateway]:
    """The gateway in front of `server`, with its page; `.url` is its base address, HTTP and gRPC alike."""
    options = GatewayOptions(ports.free(1)[0])
    specs = [archived.read(demo_store / "demo.mar")]  # as `make serve` has it
    with gateway_of(specs, server, options) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real browser; of one module, since playwright's event loop would be in the way of other tests' own."""
    from tests.e2e.browsing import chromium

    with chromium(tmp_path_factory.mktemp("microphone")) as running:
        yield running


@pytest.fixture(scope="session")
def stub_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Build `store/NAME.mar` around stub_handler.py; keywords go into its model-config.yaml."""
    built: dict[str, Path] = {}

    def build(store: Path, name: str, version: str = "1.0", **config: Any) -> None:
        settings = {
            "minWorkers": 1,
            "maxWorkers": 1,
            "batchSize": 1,
            "maxBatchDelay": 5,
            "responseTimeout": 30,
        }
        content = yaml.safe_dump(settings | config)
        key = f"{name} {version} {content}"
        if key not in built:
            built[key] = package(tmp_path_factory.mktemp("stub"), name, version, content)
        shutil.copyfile(built[key], store / f"{name}.mar")

    return build


def package(scratch: Path, name: str, version: str, config: str) -> Path:
    """An archive around stub_handler.py with this model-config.yaml."""
    config_file = scratch / f"{name}.yaml"
    config_file.write_text(config)
    here = Path(__file__).parent
    command = [sys.executable, "-W", "ignore", "-m", "model_archiver.model_packaging"]
    command += ["--model-name", name, "--version", version, "--config-file", str(config_file)]
    command += ["--handler", str(here / "stub_handler.py"), "--export-path", str(scratch)]
    command += ["--extra-files", str(here / "stub_packages" / "torch.py")]
    # it stages in TMPDIR/NAME, where another worker of this suite's may build a stub too
    subprocess.run(command, check=True, env={**os.environ, "TMPDIR": str(scratch)})
    return scratch / f"{name}.mar"


@pytest.fixture(scope="session")
def stub_server(
    stub_archive: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TorchServe]:
    """TorchServe with two stubs: `stub`, and `narrow`, whose queue holds two requests."""
    store = tmp_path_factory.mktemp("stub_store")
    stub_archive(store, "stub")
    stub_archive(store, "narrow", jobQueueSize=2)
    with TorchServe(store, ["stub", "narrow"], tmp_path_factory.mktemp("run")) as running:
        running.start()
        running.wait_ready()
        yield running
        running.stop(0)  # an idle Java takes three seconds to end by itself


@pytest.fixture(scope="session")
def stub_gateway(stub_server: TorchServe) -> Iterator[Gateway]:
    """The gateway in front of `stub_server`."""
    with Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as running:
        running.start()
        yield running


@pytest.fixture
def ask(stub_gateway: Gateway) -> Callable[..., requests.Response]:
    """A request to `stub_gateway`, as audio unless it says otherwise; keywords are headers."""

    def ask(path: str, body: Any = b"abc", method: str = "POST", **headers: str) -> requests.Response:
        given = {"Content-Type": "application/octet-stream"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        return requests.request(method, stub_gateway.url + path, data=body, headers=given, timeout=600)

    return ask


@pytest.fixture
def stub_store(tmp_path: Path) -> Path:
    """An empty model store of one test, in a folder whose name needs quoting everywhere."""
    store = tmp_path / "model store, é"
    store.mkdir()
    return store


@pytest.fixture
def build_stub(stub_store: Path, stub_archive: Callable[..., None]) -> Callable[..., None]:
    """Build NAME.mar around stub_handler.py into `stub_store`; keywords go into its model-config.yaml."""
    return partial(stub_archive, stub_store)


@pytest.fixture
def checkout(tmp_path: Path, stub_archive: Callable[..., None], demo_checkpoint: Path) -> Path:
    """A working folder of its own, so that no test meets another's archive or state file.

    stub.mar is there, and the demo model converted: importing what converts it takes five seconds.
    """
    folder = tmp_path / "check out, é"
    copy_checkpoint(demo_checkpoint, folder)
    (folder / "model_store").mkdir(parents=True)
    (folder / "models").symlink_to(ROOT / "models")
    stub_archive(folder / "model_store", "stub")
    return folder


@pytest.fixture
def temp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR of this test's own, with a name short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture
def run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python program of the bundle in `checkout` to its end."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'handler'}")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=600)

    return run


@pytest.fixture
def serve(run: Run, checkout: Path, tmp_path: Path) -> Iterator[StartServe]:
    """Start a server of the stub, or of what the arguments say, in its own session as a shell would."""
    started: list[Serve] = []

    def start(*program: str, ready: bool = True, port: int | None = None) -> Serve:
        port = port or ports.free(1)[0]
        output = tmp_path / f"{port}.txt"
        command = [sys.executable, *(program or (STUB,)), "--port", str(port), "--grace", "30"]
        with output.open("wb") as log:
            process = Leashed(command, cwd=checkout, stdout=log, stderr=log)
        started.append(Serve(process, output, checkout / state.RUN / str(port), port))
        if ready:
            started[-1].wait_for(lambda: "ready: " in started[-1].said)
        return started[-1]

    yield start
    for each in started:
        # the second hurries: an idle Java takes three seconds to end by itself
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ProcessLookupError):
                each.process.send_signal(number)
        each.process.wait(600)
        each.process.release()
    if list(state.states(checkout / state.RUN)):
        run("-m", "serving.stop")
    # and if that is what a test found to be broken: whatever has this checkout among its arguments
    processes.end(processes.matching(lambda argument: str(checkout) in argument), grace=1.0)
